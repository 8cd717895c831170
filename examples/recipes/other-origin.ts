// A single-page app on https://app.example.com, whose API is on https://api.example.com: one site, two origins.
import { Body, Controller, Get, HttpCode, Module, Post, UseGuards, type INestApplication } from '@nestjs/common';
import {
  CurrentUser,
  Public,
  ReqSession,
  SessionGuard,
  SessionModule,
  type RequestSession,
  type SessionUser,
} from 'nestjs-sessions';

export const PAGE = 'https://app.example.com';

@UseGuards(SessionGuard)
@Controller()
class ApiController {
  @Public()
  @Post('login')
  @HttpCode(204)
  async login(@ReqSession() session: RequestSession, @Body() { name }: { name: string }) {
    await session.start({ userId: name });
  }

  @Get('me')
  me(@CurrentUser() user: SessionUser) {
    return { id: user.id };
  }

  @Post('note')
  @HttpCode(204)
  note() {
    return undefined;
  }
}

@Module({
  // The library refuses changes that another origin asks for, unless the origin is named here.
  imports: [SessionModule.forRoot({ security: { csrf: { trustedOrigins: [PAGE] } } })],
  controllers: [ApiController],
})
export class ApiModule {}

/** The page then calls `fetch(url, { credentials: 'include' })`. */
export function allowPage(app: INestApplication): void {
  // A wildcard does not work with credentials.
  app.enableCors({ origin: PAGE, credentials: true });
}
