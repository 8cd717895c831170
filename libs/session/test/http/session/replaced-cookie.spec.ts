import { Controller, HttpCode, Post, UseGuards } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { RedisSessionStore, ReqSession, RequestSession, SessionGuard, StepUp } from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { CountingStore } from '../../support/counting-store.js';
import { testRedisUrl } from '../../support/redis-harness.js';
import { secretOf } from '../../support/secrets.js';

/** What an application must not do with the session on a route for step-up, and might. */
@Controller('step-up')
@UseGuards(SessionGuard)
@StepUp()
class StepUpController {
  static handled = 0;

  @Post('update')
  @HttpCode(200)
  update(@ReqSession() session: RequestSession): Promise<unknown> {
    StepUpController.handled += 1;
    return session.update({ data: { taken: true } });
  }

  @Post('regenerate')
  @HttpCode(200)
  regenerate(@ReqSession() session: RequestSession): Promise<unknown> {
    StepUpController.handled += 1;
    return session.regenerate();
  }

  @Post('password-changed')
  @HttpCode(200)
  passwordChanged(@ReqSession() session: RequestSession): Promise<unknown> {
    StepUpController.handled += 1;
    return session.passwordChanged();
  }

  @Post('end-others')
  @HttpCode(200)
  async endOthers(@ReqSession() session: RequestSession): Promise<unknown> {
    StepUpController.handled += 1;
    return { ended: await session.endOthers() };
  }

  @Post('end-all')
  @HttpCode(200)
  async endAll(@ReqSession() session: RequestSession): Promise<unknown> {
    StepUpController.handled += 1;
    return { ended: await session.endAll() };
  }
}

const ROUTES = ['update', 'regenerate', 'password-changed', 'end-others', 'end-all'];

describe.each(PLATFORMS.flatMap((platform) => [[platform, 'memory'] as const, [platform, 'Redis'] as const]))(
  'a cookie that a step-up replaced, under @StepUp() on %s and %s',
  (platform, backend) => {
    let app: TestApp;
    let thief: Browser;
    let owner: Browser;
    let advance: (ms: number) => void;
    let close: () => Promise<void>;

    beforeEach(async () => {
      let shift = 0;
      const client = backend === 'Redis' ? new Redis(testRedisUrl()) : null;
      const memory = new CountingStore();
      const store =
        client === null
          ? memory
          : new RedisSessionStore(client, {
              keyPrefix: `test-${randomBytes(6).toString('hex')}:`,
              commandTimeout: 5_000,
              timeShift: () => shift,
            });
      advance = (ms) => (client === null ? memory.advance(ms) : void (shift += ms));
      close = async () => {
        await store.close();
        client?.disconnect();
      };
      const session = { store, secrets: secretOf('s') };
      app = await startApp({ platform, controllers: [AccountController, StepUpController], session });
      StepUpController.handled = 0;
      [owner, thief] = [app.browser(), app.browser()];
      await app.browser().post('/login', { userId: 'ann' });
      await owner.post('/login', { userId: 'ann' });
      for (const [name, value] of owner.jar) thief.jar.set(name, value);
      expect((await owner.post('/step-up')).status).toBe(200);
    });
    afterEach(async () => {
      await closeApps();
      await close();
    });

    const sessions = async (): Promise<unknown> => (await owner.get('/session')).body;

    it.each(ROUTES)('may repeat the step-up, and not %s', async (route) => {
      const before = await sessions();
      const refused = await thief.post(`/step-up/${route}`);
      expect([refused.status, refused.body.code]).toEqual([401, 'invalid_token']);
      expect(StepUpController.handled).toBe(1);
      expect(await sessions()).toEqual(before);
      expect((await owner.post('/logout-others')).body).toEqual({ ended: 1 });
    });

    it.each(ROUTES)('reaches no handler any more after 30 seconds: %s', async (route) => {
      advance(30_001);
      const before = await sessions();
      const refused = await thief.post(`/step-up/${route}`);
      expect([refused.status, refused.body.code]).toEqual([401, 'invalid_token']);
      expect(StepUpController.handled).toBe(0);
      expect(await sessions()).toEqual(before);
      expect((await owner.post('/logout-others')).body).toEqual({ ended: 1 });
    });

    it('repeats the step-up for 30 seconds and no longer (ASVS 7.2.4)', async () => {
      const repeated = app.browser();
      for (const [name, value] of thief.jar) repeated.jar.set(name, value);
      expect((await repeated.post('/step-up')).status).toBe(200);
      expect((await owner.get('/me')).body.code).toBe('invalid_token');
      for (const [name, value] of repeated.jar) owner.jar.set(name, value);
      advance(30_001);
      expect((await thief.post('/step-up')).body.code).toBe('invalid_token');
      expect((await owner.get('/me')).status).toBe(200);
    });
  },
);
