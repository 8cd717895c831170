import { Controller, Delete, Get, Param } from '@nestjs/common';
import { CurrentSession, Roles, SessionAdminService, type Session } from 'nestjs-sessions';
import { viewOf, type SessionView } from '../sessions/session-view.js';

/** Other people's sessions. */
@Roles('admin')
@Controller('admin/users/:userId/sessions')
export class AdminSessionsController {
  constructor(private readonly admin: SessionAdminService) {}

  @Get()
  async list(@Param('userId') userId: string, @CurrentSession() { id }: Session): Promise<SessionView[]> {
    const sessions = await this.admin.listSessions(userId);
    return sessions.map((session) => viewOf(session, id));
  }

  @Delete()
  async end(@Param('userId') userId: string): Promise<{ ended: number }> {
    return { ended: await this.admin.endUserSessions(userId) };
  }
}
