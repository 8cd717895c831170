import { Body, Controller, HttpCode, HttpStatus, Ip, Post, UnauthorizedException } from '@nestjs/common';
import { CurrentSession, Public, ReqSession, StepUp, type RequestSession, type Session } from 'nestjs-sessions';
import { UsersService } from '../users/users.service.js';
import {
  loginBody,
  type LoginBody,
  refreshBody,
  type RefreshBody,
  stepUpBody,
  type StepUpBody,
} from './auth.bodies.js';
import { FailureLimiter } from './failure-limiter.js';
import { loginReply, type LoginReply } from './login-reply.js';

@Controller('auth')
export class AuthController {
  constructor(
    private readonly users: UsersService,
    private readonly failures: FailureLimiter,
  ) {}

  @Public()
  @Post('login')
  @HttpCode(HttpStatus.OK)
  async login(
    @Body({ schema: loginBody }) { email, password, deviceId, deviceName, rememberMe = false, replaces }: LoginBody,
    @Ip() address: string,
    @ReqSession() request: RequestSession,
  ): Promise<LoginReply> {
    const user = await this.failures.limit({ account: email, address }, () => this.users.authenticate(email, password));
    if (!user) throw wrongPassword();
    const signedIn = await request.start(
      {
        userId: user.id,
        email: user.email,
        roles: [...user.roles],
        ...(deviceId !== undefined && { deviceId }),
        ...(deviceName !== undefined && { deviceName }),
        amr: ['pwd'],
      },
      { rememberMe, transport: 'both', ...(replaces !== undefined && { replaces }) },
    );
    return loginReply(signedIn);
  }

  @Public()
  @Post('refresh')
  @HttpCode(HttpStatus.OK)
  async refresh(
    @Body({ schema: refreshBody }) { refreshToken }: RefreshBody,
    @ReqSession() request: RequestSession,
  ): Promise<LoginReply> {
    return loginReply(await request.refresh(refreshToken));
  }

  /** Public, so that signing out works with a session that is over already. */
  @Public()
  @Post('logout')
  @HttpCode(HttpStatus.NO_CONTENT)
  async logout(@ReqSession() request: RequestSession): Promise<void> {
    await request.end();
  }

  @Post('logout-others')
  @HttpCode(HttpStatus.OK)
  async logoutOthers(@ReqSession() request: RequestSession): Promise<{ ended: number }> {
    return { ended: await request.endOthers() };
  }

  @Post('logout-all')
  @HttpCode(HttpStatus.OK)
  async logoutAll(@ReqSession() request: RequestSession): Promise<{ ended: number }> {
    return { ended: await request.endAll() };
  }

  /** Proves again who is there. The session goes on under a new token, and the old one is dead. */
  @StepUp()
  @Post('step-up')
  @HttpCode(HttpStatus.OK)
  async stepUp(
    @Body({ schema: stepUpBody }) { password }: StepUpBody,
    @Ip() address: string,
    @CurrentSession() { email }: Session,
    @ReqSession() request: RequestSession,
  ): Promise<LoginReply> {
    const user = await this.failures.limit({ account: email, address }, () => this.users.authenticate(email, password));
    if (!user) throw wrongPassword();
    return loginReply(await request.stepUp());
  }
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
