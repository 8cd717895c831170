// Roles that change while somebody is signed in: they count from the next request on, in every session and on every instance.
import { Body, Controller, Get, HttpCode, Module, Param, Put, UseGuards } from '@nestjs/common';
import {
  CurrentUser,
  RequireFresh,
  Roles,
  SessionGuard,
  SessionModule,
  SessionService,
  type SessionUser,
} from 'nestjs-sessions';

@UseGuards(SessionGuard)
@Controller()
class RolesController {
  constructor(private readonly sessions: SessionService) {}

  @Get('me')
  me(@CurrentUser() { id, roles }: SessionUser) {
    return { id, roles };
  }

  @Roles('editor')
  @Get('drafts')
  drafts() {
    return [];
  }

  /** Write the roles to your database first: a sign-in that comes now must find them there. */
  @Roles('admin')
  @RequireFresh('5m')
  @Put('users/:id/roles')
  @HttpCode(200)
  async setRoles(@Param('id') id: string, @Body() { roles }: { roles: string[] }) {
    return { sessions: await this.sessions.updateUser(id, { roles }) };
  }
}

@Module({ imports: [SessionModule.forRoot()], controllers: [RolesController] })
export class RolesModule {}
