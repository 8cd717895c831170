// A mobile app: signs in once, sends an access token with each request, and refreshes when it has expired.
import { Body, Controller, Get, HttpCode, Module, Post, UnauthorizedException, UseGuards } from '@nestjs/common';
import {
  CurrentUser,
  Public,
  ReqSession,
  SessionGuard,
  SessionModule,
  type RequestSession,
  type SessionUser,
} from 'nestjs-sessions';

interface Tokens {
  accessToken?: string;
  refreshToken?: string;
}

@UseGuards(SessionGuard)
@Controller()
class ApiController {
  @Public()
  @Post('login')
  @HttpCode(200)
  async login(
    @ReqSession() session: RequestSession,
    @Body() body: { name?: string; password?: string; deviceId?: string },
  ) {
    // Your own check of a password stands here.
    if (body.name !== 'ann' || body.password !== 'ann-password') throw new UnauthorizedException();
    const input = { userId: body.name, ...(body.deviceId !== undefined && { deviceId: body.deviceId }) };
    const { tokens } = await session.start(input, { transport: 'bearer', rememberMe: true });
    return tokens;
  }

  @Public()
  @Post('refresh')
  @HttpCode(200)
  async refresh(@ReqSession() session: RequestSession, @Body() { refreshToken }: Tokens) {
    return (await session.refresh(refreshToken)).tokens;
  }

  @Get('me')
  me(@CurrentUser() user: SessionUser) {
    return { id: user.id };
  }

  @Post('logout')
  @HttpCode(204)
  async logout(@ReqSession() session: RequestSession) {
    await session.end();
  }
}

@Module({
  imports: [SessionModule.forRoot({ jwt: { issuer: 'https://api.example.com', audience: 'https://api.example.com' } })],
  controllers: [ApiController],
})
export class MobileApiModule {}

/** What the app holds. Keep the refresh token in the keychain. */
export class ApiClient {
  private tokens: Tokens = {};
  private refreshing: Promise<boolean> | null = null;

  constructor(private readonly url: string) {}

  async login(name: string, password: string): Promise<boolean> {
    return this.take(await this.send('/login', { name, password, deviceId: 'phone-1' }));
  }

  /** Repeats a request once with a new access token, if the present one is refused. */
  async get(path: string): Promise<Response> {
    const response = await this.send(path);
    if (response.status !== 401 || !(await this.refresh())) return response;
    return this.send(path);
  }

  /** Requests that find the token expired at the same time wait for one refresh. False: the user has to sign in again. */
  private refresh(): Promise<boolean> {
    this.refreshing ??= this.send('/refresh', { refreshToken: this.tokens.refreshToken })
      .then((response) => this.take(response))
      .finally(() => {
        this.refreshing = null;
      });
    return this.refreshing;
  }

  private async take(response: Response): Promise<boolean> {
    // 503 is no sign-out: the tokens stay, and the next request tries again.
    if (response.status === 401) this.tokens = {};
    if (!response.ok) return false;
    this.tokens = (await response.json()) as Tokens;
    return true;
  }

  private send(path: string, body?: object): Promise<Response> {
    const { accessToken } = this.tokens;
    return fetch(this.url + path, {
      method: body ? 'POST' : 'GET',
      headers: {
        ...(accessToken !== undefined && { authorization: `Bearer ${accessToken}` }),
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
  }
}
