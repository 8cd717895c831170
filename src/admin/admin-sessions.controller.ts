import { Controller, Delete, Get, HttpCode, HttpStatus, NotFoundException, Param } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { CurrentSession, RequireFresh, Roles, SessionAdminService, type Session } from 'nestjs-sessions';
import { ApiSession, ApiSessionErrors } from 'nestjs-sessions/swagger';
import { viewOf, type SessionView } from '../sessions/session-view.js';
import { Answer, NoContent } from '../openapi/answer.js';
import { ENDED, SESSIONS } from '../openapi/answers.js';
import { notFound } from '../openapi/errors.js';

/** Other people's sessions. */
@ApiTags('Administration')
@ApiSession()
@Roles('admin')
@Controller('admin/users/:userId/sessions')
export class AdminSessionsController {
  constructor(private readonly admin: SessionAdminService) {}

  @Answer({ summary: 'Where a user is signed in', ...SESSIONS })
  @Get()
  async list(@Param('userId') userId: string, @CurrentSession() { id }: Session): Promise<SessionView[]> {
    const sessions = await this.admin.listSessions(userId);
    return sessions.map((session) => viewOf(session, id));
  }

  @Answer({ summary: 'End all sessions of a user', ...ENDED })
  @RequireFresh('5m')
  @Delete()
  async end(@Param('userId') userId: string, @CurrentSession() admin: Session): Promise<{ ended: number }> {
    const by = { actor: admin.userId, reason: 'ended by an administrator of the sample' };
    return { ended: await this.admin.endUserSessions(userId, by) };
  }

  @NoContent('End one session of a user')
  @ApiSessionErrors({ errors: [notFound('The user has no such session.')] })
  @RequireFresh('5m')
  @Delete(':id')
  @HttpCode(HttpStatus.NO_CONTENT)
  async endOne(
    @Param('userId') userId: string,
    @Param('id') id: string,
    @CurrentSession() admin: Session,
  ): Promise<void> {
    const by = { actor: admin.userId, reason: 'ended by an administrator of the sample' };
    const sessions = await this.admin.listSessions(userId);
    const isTheirs = sessions.some((session) => session.id === id);
    if (!isTheirs || !(await this.admin.endSession(id, by)))
      throw new NotFoundException('The user has no such session.');
  }
}
