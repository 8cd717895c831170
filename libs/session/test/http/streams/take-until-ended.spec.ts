import { Controller, Sse, UseGuards, type MessageEvent } from '@nestjs/common';
import { firstValueFrom, lastValueFrom, NEVER, of, startWith, throwError, toArray, type Observable } from 'rxjs';
import { CurrentSession, SessionGuard, SessionService, takeUntilEnded, type Session } from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp } from '../../support/app.js';

@UseGuards(SessionGuard)
@Controller()
class PricesController {
  seen: Session | null = null;

  @Sse('prices')
  prices(@CurrentSession() session: Session): Observable<MessageEvent> {
    this.seen = session;
    return NEVER.pipe(startWith({ data: 'first' }), takeUntilEnded(session));
  }
}

afterEach(closeApps);

const jwt = { issuer: 'https://issuer.example', audience: 'https://api.example', accessTokenTtl: '2s' } as const;

describe.each(PLATFORMS)('takeUntilEnded on %s', (platform) => {
  const start = () => startApp({ platform, controllers: [AccountController, PricesController], session: { jwt } });

  it('ends an @Sse() stream with the session', async () => {
    const app = await start();
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann' });
    const reply = browser.get('/prices');
    while (app.app.get(PricesController).seen === null) await new Promise((resolve) => setTimeout(resolve, 5));
    await app.app.get(SessionService).endAll('ann');
    expect((await reply).text).toContain('data: first');
  });

  it('ends it with the access token', async () => {
    const app = await start();
    const { body } = await app.browser().post('/login', { userId: 'ann', transport: 'bearer' });
    const { accessToken } = (body as { tokens: { accessToken: string } }).tokens;
    const reply = await app.browser().get('/prices', { authorization: `Bearer ${accessToken}` });
    expect([reply.status, reply.text]).toEqual([200, expect.stringContaining('data: first')]);
    expect(await app.app.get(SessionService).list('ann')).toHaveLength(1);
  });
});

it('passes on what the source does, and watches no longer', async () => {
  const app = await startApp({ platform: 'express', controllers: [AccountController, PricesController] });
  const browser = app.browser();
  await browser.post('/login', { userId: 'ann' });
  void browser.get('/prices').catch(() => undefined);
  const controller = app.app.get(PricesController);
  while (controller.seen === null) await new Promise((resolve) => setTimeout(resolve, 5));
  const { watch } = app.app.get<{ watch: { size: number } }>(
    (await import('../../../src/core/tokens.js')).SESSION_CORE,
  );
  const session = controller.seen;
  const before = watch.size;
  expect(await lastValueFrom(of(1, 2).pipe(takeUntilEnded(session), toArray()))).toEqual([1, 2]);
  await expect(
    lastValueFrom(throwError(() => new Error('of the source')).pipe(takeUntilEnded(session))),
  ).rejects.toThrow('of the source');
  expect(await firstValueFrom(NEVER.pipe(startWith('x'), takeUntilEnded(session)))).toBe('x');
  expect(watch.size).toBe(before);
  await app.app.get(SessionService).endAll('ann');
});

it('says which session it takes', () => {
  expect(() => takeUntilEnded({ id: 'x' })).toThrow('takes the session that @CurrentSession() gave');
});
