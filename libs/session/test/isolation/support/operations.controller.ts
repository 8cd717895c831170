import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import {
  DeviceSessionService,
  Public,
  ReqSession,
  RequestSession,
  SessionAdminService,
  SessionService,
  TokenService,
} from '../../../src/index.js';

/** What an administrator of one tenant can do to an id. */
const BY = { actor: 'root', reason: 'test' };

/** What an application's own services do, without a session of the caller. */
@Controller('ops')
@Public()
export class OperationsController {
  constructor(
    @Inject(SessionService) private readonly sessions: SessionService,
    @Inject(SessionAdminService) private readonly admin: SessionAdminService,
    @Inject(DeviceSessionService) private readonly devices: DeviceSessionService,
    @Inject(TokenService) private readonly tokens: TokenService,
  ) {}

  @Get('count')
  async count(): Promise<unknown> {
    return { count: await this.admin.countSessions() };
  }

  @Get('users/:userId')
  async list(@Param('userId') userId: string): Promise<unknown> {
    const [sessions, devices] = [await this.sessions.list(userId), await this.devices.getDeviceSessions(userId)];
    return { ids: sessions.map(({ id }) => id), devices: devices.map(({ id }) => id) };
  }

  @Get('sessions/:id')
  async get(@Param('id') id: string): Promise<unknown> {
    return { session: await this.sessions.get(id) };
  }

  @Delete('sessions/:id/:userId')
  async end(@Param('id') id: string, @Param('userId') userId: string): Promise<unknown> {
    return {
      ended: [
        await this.sessions.end(id, { userId }),
        await this.sessions.end(id),
        await this.admin.endSession(id, BY),
      ],
    };
  }

  @Delete('everybody')
  async everybody(): Promise<unknown> {
    return { ended: await this.admin.endEverybody(BY) };
  }

  @Post('revoke')
  async revoke(@Body() { token }: { token: string }): Promise<unknown> {
    try {
      return { revoked: await this.tokens.revoke(token) };
    } catch (error) {
      return { code: (error as { code: string }).code };
    }
  }

  @Post('refresh')
  @HttpCode(200)
  async refresh(
    @ReqSession() session: RequestSession,
    @Body() { refreshToken }: { refreshToken: string },
  ): Promise<unknown> {
    return session.refresh(refreshToken);
  }
}
