import 'reflect-metadata';
import { ok, strictEqual as equal } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { Controller, Get, Module, Post, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CurrentUser, Public, ReqSession, SessionGuard, SessionModule, SessionService } from 'nestjs-sessions';
import type { RequestSession, SessionUser } from 'nestjs-sessions';

@UseGuards(SessionGuard)
@Controller()
class AppController {
  @Public()
  @Post('login')
  async login(@ReqSession() session: RequestSession) {
    const user = { userId: 'u-1', email: 'ada@example.com', roles: ['user'] };
    return (await session.start(user, { transport: 'both' })).tokens;
  }

  @Public()
  @Post('refresh')
  async refresh(@ReqSession() session: RequestSession) {
    return (await session.refresh()).tokens;
  }

  @Get('me')
  me(@CurrentUser() user: SessionUser) {
    return user;
  }
}

@Module({
  imports: [
    SessionModule.forRoot({
      redis: process.env['REDIS_URL'] ?? '',
      keyPrefix: `versions-${randomBytes(6).toString('hex')}:`,
      secrets: [randomBytes(32).toString('hex')],
      cookie: { name: 'session', secure: false },
      jwt: { issuer: 'https://issuer.example', audience: 'https://api.example', refreshCookie: { path: '/refresh' } },
    }),
  ],
  controllers: [AppController],
})
class AppModule {}

async function main() {
  const apps = [await NestFactory.create(AppModule, { logger: ['error'] })];
  apps.push(await NestFactory.create(AppModule, { logger: ['error'] }));
  const urls: string[] = [];
  for (const app of apps) {
    await app.listen(0, '127.0.0.1');
    urls.push(await app.getUrl());
  }
  const [first = '', second = ''] = urls;

  const login = await fetch(`${first}/login`, { method: 'POST' });
  equal(login.status, 201);
  const { accessToken } = (await login.json()) as { accessToken: string };
  const cookie = login.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ');
  const ways: Record<string, string>[] = [{ cookie }, { authorization: `Bearer ${accessToken}` }];
  for (const headers of ways) {
    for (const url of urls) equal((await fetch(`${url}/me`, { headers })).status, 200);
  }
  equal((await fetch(`${second}/me`)).status, 401);

  const refreshed = await fetch(`${second}/refresh`, { method: 'POST', headers: { cookie } });
  equal(refreshed.status, 201);
  ok(((await refreshed.json()) as { accessToken: string }).accessToken !== accessToken);

  equal(await apps[1]?.get(SessionService).endAll('u-1', { reason: 'revoked' }), 1);
  const refused = await fetch(`${first}/me`, { headers: { authorization: `Bearer ${accessToken}` } });
  equal(refused.status, 401);
  equal(((await refused.json()) as { code: string }).code, 'session_revoked');
  await Promise.all(apps.map((app) => app.close()));
  console.log('all is well');
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
