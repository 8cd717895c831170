import { Body, Controller, Get, HttpCode, Post, Req, UseGuards } from '@nestjs/common';
import {
  AllowAnonymous,
  AllowPending,
  CurrentSession,
  CurrentUser,
  explainSessionSecurity,
  generateFingerprint,
  Public,
  ReqSession,
  RequestSession,
  RequireFresh,
  Roles,
  SessionGuard,
  StepUp,
  Transport,
  validateSessionSecurity,
  type NewSession,
  type RequestLike,
  type Session,
} from '../../src/index.js';

/** Routes for step-up, second factors, visitors, administrators and checks by hand. */
@Controller()
@UseGuards(SessionGuard)
export class SecurityController {
  @Public()
  @Post('visit')
  @HttpCode(200)
  async visit(@ReqSession() session: RequestSession, @Body() data: Record<string, unknown>): Promise<unknown> {
    return { session: await session.startAnonymous(data) };
  }

  @AllowAnonymous()
  @Get('cart')
  cart(@CurrentSession() session: Session, @CurrentUser() user: unknown): unknown {
    return { session, user };
  }

  @Public()
  @AllowAnonymous()
  @Get('maybe')
  maybe(@CurrentSession() session: Session | null, @CurrentUser() user: unknown): unknown {
    return { session, user };
  }

  @AllowAnonymous()
  @Post('cart')
  @HttpCode(200)
  async fill(@ReqSession() session: RequestSession, @Body() data: Record<string, unknown>): Promise<unknown> {
    return session.update({ data });
  }

  @AllowPending()
  @StepUp()
  @Post('second-factor')
  @HttpCode(200)
  async secondFactor(@ReqSession() session: RequestSession): Promise<unknown> {
    return session.stepUp({ pending: false, amr: ['pwd', 'otp'], acr: 'aal2' });
  }

  @RequireFresh()
  @Post('fresh-by-default')
  @HttpCode(200)
  freshByDefault(): unknown {
    return { ok: true };
  }

  @Post('password')
  @HttpCode(200)
  async password(@ReqSession() session: RequestSession): Promise<unknown> {
    return session.passwordChanged({ data: { passwordChangedAt: 1 } });
  }

  @Roles('admin')
  @Post('impersonate')
  @HttpCode(200)
  async impersonate(@ReqSession() session: RequestSession, @Body() user: NewSession): Promise<unknown> {
    return session.impersonate(user);
  }

  @Post('end-impersonation')
  @HttpCode(200)
  async endImpersonation(@ReqSession() session: RequestSession): Promise<unknown> {
    return { session: await session.endImpersonation() };
  }

  @Transport('cookie')
  @Get('cookie-only')
  cookieOnly(): unknown {
    return { ok: true };
  }

  @Transport('bearer')
  @Get('bearer-only')
  bearerOnly(): unknown {
    return { ok: true };
  }

  @Public()
  @Post('refresh')
  @HttpCode(200)
  async refresh(@ReqSession() session: RequestSession, @Body() body: { refreshToken: string }): Promise<unknown> {
    return session.refresh(body.refreshToken);
  }

  /** Lets every request in, and answers with the evaluation of its session. */
  @Public()
  @Post('explain')
  @HttpCode(200)
  async explain(@Req() request: RequestLike, @Body() session: Partial<Session>): Promise<unknown> {
    return {
      fingerprint: generateFingerprint(request),
      valid: await validateSessionSecurity(request, session),
      reasons: await explainSessionSecurity(request, session),
    };
  }
}
