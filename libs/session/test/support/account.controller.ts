import { Body, Controller, Get, HttpCode, Post, UseGuards } from '@nestjs/common';
import {
  CurrentSession,
  CurrentUser,
  NoTouch,
  Public,
  ReqSession,
  RequestSession,
  Roles,
  SessionGuard,
  StepUp,
  RequireFresh,
  type Session,
  type NewSession,
  type SignInOptions,
} from '../../src/index.js';

/** The routes most of the tests speak to. */
@Controller()
@UseGuards(SessionGuard)
export class AccountController {
  handled = 0;

  @Public()
  @Post('login')
  @HttpCode(200)
  async login(
    @ReqSession() session: RequestSession,
    @Body() { rememberMe, transport, replaces, ...input }: NewSession & SignInOptions,
  ): Promise<unknown> {
    return session.start(input, {
      ...(rememberMe && { rememberMe }),
      ...(transport && { transport }),
      ...(replaces && { replaces }),
    });
  }

  @Get('me')
  me(@CurrentUser() user: unknown): unknown {
    this.handled += 1;
    return { user };
  }

  @Get('session')
  session(@CurrentSession() session: Session | null): unknown {
    return { session };
  }

  @Public()
  @Get('public')
  open(): unknown {
    return { ok: true };
  }

  @Public()
  @Get('optional')
  optional(@CurrentSession() session: Session | null, @CurrentUser() user: unknown): unknown {
    return { session, user };
  }

  @NoTouch()
  @Get('poll')
  poll(): unknown {
    return { ok: true };
  }

  @Roles('admin', 'owner')
  @Get('admin')
  admin(): unknown {
    return { ok: true };
  }

  @RequireFresh('5m')
  @Post('fresh')
  @HttpCode(200)
  fresh(): unknown {
    return { ok: true };
  }

  @StepUp()
  @Post('step-up')
  @HttpCode(200)
  async stepUp(@ReqSession() session: RequestSession): Promise<unknown> {
    return session.stepUp({ amr: ['pwd', 'otp'] });
  }

  @Post('regenerate')
  @HttpCode(200)
  async regenerate(@ReqSession() session: RequestSession): Promise<unknown> {
    return session.regenerate();
  }

  @Post('note')
  @HttpCode(200)
  async note(@ReqSession() session: RequestSession, @Body() data: Record<string, unknown>): Promise<unknown> {
    return session.update({ data });
  }

  @Post('logout')
  @HttpCode(200)
  async logout(@ReqSession() session: RequestSession): Promise<unknown> {
    return { ended: await session.end() };
  }

  @Public()
  @Post('public-logout')
  @HttpCode(200)
  async publicLogout(@ReqSession() session: RequestSession): Promise<unknown> {
    return { ended: await session.end() };
  }

  @Post('logout-others')
  @HttpCode(200)
  async logoutOthers(@ReqSession() session: RequestSession): Promise<unknown> {
    return { ended: await session.endOthers() };
  }

  @Post('logout-all')
  @HttpCode(200)
  async logoutAll(@ReqSession() session: RequestSession): Promise<unknown> {
    return { ended: await session.endAll() };
  }
}
