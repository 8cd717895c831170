import { Body, Controller, Get, HttpCode, Post, UseGuards } from '@nestjs/common';
import {
  CurrentUser,
  Public,
  ReqSession,
  RequestSession,
  RequireDpop,
  SessionGuard,
  type NewSession,
  type SignInOptions,
} from '../../../src/index.js';

/** Where tokens are issued, used and renewed. */
@Controller()
@UseGuards(SessionGuard)
export class DpopController {
  @Public()
  @Post('login')
  @HttpCode(200)
  async login(
    @ReqSession() session: RequestSession,
    @Body() { transport, ...input }: NewSession & SignInOptions,
  ): Promise<unknown> {
    return session.start(input, { ...(transport && { transport }) });
  }

  @Public()
  @Post('refresh')
  @HttpCode(200)
  async refresh(@ReqSession() session: RequestSession, @Body() body: { refreshToken?: string }): Promise<unknown> {
    return session.refresh(body.refreshToken);
  }

  @Get('me')
  me(@CurrentUser() user: unknown): unknown {
    return { user };
  }

  @Post('me')
  @HttpCode(200)
  change(@CurrentUser() user: unknown): unknown {
    return { user };
  }

  @Get('items/:id')
  item(): unknown {
    return { ok: true };
  }

  @RequireDpop()
  @Get('bound')
  bound(): unknown {
    return { ok: true };
  }

  @Post('step-up')
  @HttpCode(200)
  async stepUp(@ReqSession() session: RequestSession): Promise<unknown> {
    return session.stepUp();
  }

  @Post('impersonate')
  @HttpCode(200)
  async impersonate(@ReqSession() session: RequestSession): Promise<unknown> {
    return session.impersonate({ userId: 'bob' });
  }

  @Public()
  @Post('logout')
  @HttpCode(200)
  async logout(@ReqSession() session: RequestSession): Promise<unknown> {
    return { ended: await session.end() };
  }
}
