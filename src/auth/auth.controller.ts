import {
  BadRequestException,
  Body,
  Controller,
  Headers,
  HttpCode,
  HttpStatus,
  Ip,
  Post,
  UnauthorizedException,
} from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import {
  AllowPending,
  CurrentSession,
  Public,
  ReqSession,
  RequireFresh,
  SessionService,
  StepUp,
  type RequestSession,
  type Session,
} from 'nestjs-sessions';
import { ApiSession, ApiSessionErrors } from 'nestjs-sessions/swagger';
import { viewOf, type SessionView } from '../sessions/session-view.js';
import type { User } from '../users/user.js';
import { UsersService } from '../users/users.service.js';
import {
  codeBody,
  type CodeBody,
  loginBody,
  type LoginBody,
  refreshBody,
  type RefreshBody,
  stepUpBody,
  type StepUpBody,
} from './auth.bodies.js';
import { FailureLimiter } from './failure-limiter.js';
import { TooManyFailures } from './too-many-failures.js';
import { loginReply, type LoginReply } from './login-reply.js';
import { Answer, NoContent } from '../openapi/answer.js';
import { ENDED, LOGIN_REPLY, ONE_SESSION } from '../openapi/answers.js';
import { BAD_BODY, SIGN_IN_BUSY, TOO_MANY_FAILURES, WRONG_CODE, WRONG_CREDENTIALS } from '../openapi/errors.js';

interface Proof {
  email: string;
  password: string;
  address: string;
}

/** What a refresh token that counts no longer is answered with. */
const REFUSED_TOKEN = [
  'csrf_rejected',
  'session_required',
  'invalid_token',
  'session_expired',
  'session_evicted',
  'session_replaced',
  'session_revoked',
  'session_ended',
  'store_unavailable',
] as const;

@ApiTags('Signing in and out')
@Controller('auth')
export class AuthController {
  constructor(
    private readonly users: UsersService,
    private readonly failures: FailureLimiter,
    private readonly sessions: SessionService,
  ) {}

  @Answer({ summary: 'Sign in', ...LOGIN_REPLY })
  @ApiSessionErrors({
    codes: ['csrf_rejected', 'session_limit_reached', 'too_many_accounts', 'store_unavailable'],
    errors: [BAD_BODY, WRONG_CREDENTIALS, TOO_MANY_FAILURES, SIGN_IN_BUSY],
  })
  @Public()
  @Post('login')
  @HttpCode(HttpStatus.OK)
  async login(
    @Body({ schema: loginBody }) { email, password, addAccount = false, ...wishes }: LoginBody,
    @Ip() address: string,
    @ReqSession() request: RequestSession,
  ): Promise<LoginReply> {
    // Read before the password is checked: if it is changed meanwhile, the sign-in is refused.
    const verifiedAt = this.sessions.now();
    const user = await this.prove({ email, password, address }, request);
    const { deviceId, deviceName, rememberMe = false, replaces } = wishes;
    const account = {
      userId: user.id,
      email: user.email,
      roles: [...user.roles],
      ...(deviceId !== undefined && { deviceId }),
      ...(deviceName !== undefined && { deviceName }),
      amr: ['pwd'],
      ...(user.codeSecret !== undefined && { pending: true }),
    };
    const how = { rememberMe, transport: 'both' as const, verifiedAt, ...(replaces !== undefined && { replaces }) };
    return loginReply(addAccount ? await request.addAccount(account, how) : await request.start(account, how));
  }

  /** Completes a sign-in that waits for the code of an authenticator app. */
  @Answer({ summary: 'Complete a sign-in with a second factor', ...LOGIN_REPLY })
  @ApiSession({ errors: [BAD_BODY, WRONG_CODE, TOO_MANY_FAILURES] })
  @AllowPending()
  @Post('second-factor')
  @HttpCode(HttpStatus.OK)
  async secondFactor(
    @Body({ schema: codeBody }) { code }: CodeBody,
    @Ip() address: string,
    @CurrentSession() { userId, email, pending }: Session,
    @ReqSession() request: RequestSession,
  ): Promise<LoginReply> {
    const user = this.users.findById(userId);
    const prove = async (): Promise<true | null> =>
      user && pending === true && this.users.useCode(user, code, this.sessions.now()) ? true : null;
    if ((await this.failures.limit({ account: `code of ${email}`, address }, prove)) === null) {
      await request.signInFailed({ failed: ['otp'] });
      throw wrongCode();
    }
    return loginReply(await request.stepUp({ pending: false, amr: ['pwd', 'otp'], acr: 'aal2' }));
  }

  @Answer({ summary: 'Get a new pair of tokens', ...LOGIN_REPLY })
  @ApiSessionErrors({ codes: REFUSED_TOKEN, errors: [BAD_BODY] })
  @Public()
  @Post('refresh')
  @HttpCode(HttpStatus.OK)
  async refresh(
    @Body({ schema: refreshBody }) { refreshToken }: RefreshBody,
    @Headers('cookie') cookies: string | undefined,
    @ReqSession() request: RequestSession,
  ): Promise<LoginReply> {
    if (refreshToken === undefined && cookies === undefined)
      throw new BadRequestException(['refreshToken: is missing']);
    return loginReply(await request.refresh(refreshToken));
  }

  /** Public, so that signing out works with a session that has already ended. */
  @NoContent('Sign out')
  @ApiSessionErrors({ codes: ['csrf_rejected', 'store_unavailable'] })
  @Public()
  @Post('logout')
  @HttpCode(HttpStatus.NO_CONTENT)
  async logout(@ReqSession() request: RequestSession): Promise<void> {
    await request.end();
  }

  @Answer({ summary: 'End all other sessions', ...ENDED })
  @ApiSession()
  @RequireFresh('5m')
  @Post('logout-others')
  @HttpCode(HttpStatus.OK)
  async logoutOthers(@ReqSession() request: RequestSession): Promise<{ ended: number }> {
    return { ended: await request.endOthers() };
  }

  @Answer({ summary: 'End all sessions', ...ENDED })
  @ApiSession()
  @RequireFresh('5m')
  @Post('logout-all')
  @HttpCode(HttpStatus.OK)
  async logoutAll(@ReqSession() request: RequestSession): Promise<{ ended: number }> {
    return { ended: await request.endAll() };
  }

  /** Verifies the password again. The session gets a new token, and the old one is dead. */
  @Answer({ summary: 'Prove the password again', ...LOGIN_REPLY })
  @ApiSession({ errors: [BAD_BODY, WRONG_CREDENTIALS, TOO_MANY_FAILURES, SIGN_IN_BUSY] })
  @StepUp()
  @Post('step-up')
  @HttpCode(HttpStatus.OK)
  async stepUp(
    @Body({ schema: stepUpBody }) { password }: StepUpBody,
    @Ip() address: string,
    @CurrentSession() { email }: Session,
    @ReqSession() request: RequestSession,
  ): Promise<LoginReply> {
    await this.prove({ email, password, address }, request);
    return loginReply(await request.stepUp());
  }

  /** Ends acting as another user: the administrator's own session goes on. */
  @Answer({ summary: 'Stop acting as another user', ...ONE_SESSION })
  @ApiSession()
  @Post('end-impersonation')
  @HttpCode(HttpStatus.OK)
  async endImpersonation(@ReqSession() request: RequestSession): Promise<{ session: SessionView }> {
    const session = await request.endImpersonation();
    return { session: viewOf(session, session.id) };
  }

  /** The user with this password; a failure is a security event (ASVS 5.0, 16.3.1). */
  private async prove({ email, password, address }: Proof, request: RequestSession): Promise<User> {
    const userId = this.users.find(email)?.id;
    const failed = { failed: ['pwd'], ...(userId !== undefined && { userId }) };
    try {
      const prove = (): Promise<User | null> => this.users.authenticate(email, password);
      const user = await this.failures.limit({ account: email, address }, prove);
      if (user) return user;
    } catch (error) {
      if (error instanceof TooManyFailures) await request.signInFailed({ ...failed, reason: 'too-many-attempts' });
      throw error;
    }
    await request.signInFailed(failed);
    throw wrongPassword();
  }
}

function wrongCode(): UnauthorizedException {
  return new UnauthorizedException({
    statusCode: HttpStatus.UNAUTHORIZED,
    error: 'Unauthorized',
    code: 'wrong_code',
    message: 'The code is wrong, or was used already.',
  });
}

/** The same for a wrong password and an unknown address. */
function wrongPassword(): UnauthorizedException {
  return new UnauthorizedException({
    statusCode: HttpStatus.UNAUTHORIZED,
    error: 'Unauthorized',
    code: 'wrong_credentials',
    message: 'E-mail address or password is wrong.',
  });
}
