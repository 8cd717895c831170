import { Controller, Get } from '@nestjs/common';
import { HealthCheck, HealthCheckService, TerminusModule, type HealthCheckResult } from '@nestjs/terminus';
import { randomBytes } from 'node:crypto';
import { startRedis } from '../../../../test/support/redis-server.js';
import { startProxy, type TcpProxy } from '../../../../test/support/tcp-proxy.js';
import { Public, SessionModule } from '../../src/index.js';
import { SessionHealthIndicator } from '../../src/terminus/index.js';
import { closeApps, PLATFORMS, startApp } from '../support/app.js';
import { CountingStore } from '../support/counting-store.js';
import { testRedisUrl } from '../support/redis-harness.js';
import { secretOf } from '../support/secrets.js';

@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly sessions: SessionHealthIndicator,
  ) {}

  @Public()
  @Get()
  @HealthCheck()
  check(): Promise<HealthCheckResult> {
    return this.health.check([() => this.sessions.isHealthy()]);
  }
}

const parts = { imports: [TerminusModule], controllers: [HealthController], providers: [SessionHealthIndicator] };

afterEach(closeApps);

describe.each(PLATFORMS)('SessionHealthIndicator on %s', (platform) => {
  it('says up, and down while the store does not answer', async () => {
    const { browser, store } = await startApp({ platform, ...parts });
    expect(await browser().get('/health')).toMatchObject({
      status: 200,
      body: { info: { sessions: { status: 'up' } } },
    });
    expect(store.commands).toEqual(['read']);
    store.down = true;
    const down = await browser().get('/health');
    expect(down).toMatchObject({ status: 503, body: { error: { sessions: { status: 'down' } } } });
    // Neither hosts nor keys.
    expect(down.text).not.toMatch(/redis|6379|secret/i);
    store.down = false;
    expect((await browser().get('/health')).status).toBe(200);
  });
});

it('shows how far the clock of the store is from this machine’s, and warns beyond five seconds', async () => {
  const { browser, store } = await startApp({ platform: 'express', ...parts });
  const sessions = async (): Promise<unknown> => (await browser().get('/health')).body.info.sessions;
  expect(await sessions()).toEqual({ status: 'up', clockOffset: expect.any(Number) });
  const now = store.now.bind(store);
  store.now = () => now() - 60_000;
  expect(await sessions()).toEqual({
    status: 'up',
    clockOffset: expect.any(Number),
    warning: expect.stringMatching(/^The clock of the session store is 60 s behind .* NTP\.$/),
  });
});

it('does not wait for a store that never answers', async () => {
  class Hanging extends CountingStore {
    override read(): Promise<never> {
      return new Promise(() => undefined);
    }
  }
  const { app } = await startApp({ platform: 'express', ...parts, session: { store: new Hanging() } });
  expect(await app.get(SessionHealthIndicator).isHealthy('store', { timeout: 20 })).toMatchObject({
    store: { status: 'down' },
  });
});

it('refuses a timeout that is no duration', async () => {
  const { app } = await startApp({ platform: 'express', ...parts });
  const asked = app.get(SessionHealthIndicator).isHealthy('sessions', { timeout: 'soon' as '1s' });
  await expect(asked).rejects.toThrow('isHealthy: "soon"');
});

describe('on Redis', () => {
  let proxy: TcpProxy;

  beforeAll(async () => {
    const { port } = new URL(testRedisUrl());
    proxy = await startProxy({ targetPort: Number(port) });
  });

  afterAll(async () => proxy.stop());

  it('says in words what an operator should know, where it is asked to, also while Redis does not answer', async () => {
    const redis = await startRedis({ args: ['--maxmemory-policy', 'allkeys-lru', '--appendonly', 'no', '--save', ''] });
    const front = await startProxy({ targetPort: redis.port });
    const module = SessionModule.forRoot({
      redis: `redis://127.0.0.1:${front.port}`,
      secrets: secretOf('terminus'),
      commandTimeout: 5_000,
    });
    const { app } = await startApp({ platform: 'express', ...parts, module });
    const indicator = app.get(SessionHealthIndicator);
    try {
      expect(await indicator.isHealthy('sessions')).not.toHaveProperty('sessions.findings');
      const { sessions } = await indicator.isHealthy('sessions', { findings: true });
      expect(sessions).toMatchObject({ status: 'up' });
      const texts = (sessions['findings'] as { level: string; text: string }[]).map(
        ({ level, text }) => `${level}: ${text}`,
      );
      expect(texts).toContainEqual(expect.stringMatching(/^error: .*allkeys-lru.*noeviction/s));
      front.blackhole(true);
      const down = await indicator.isHealthy('sessions', { findings: true, timeout: 300 });
      expect(down.sessions).toEqual({
        status: 'down',
        findings: [{ level: 'error', text: expect.stringMatching(/have not answered in time/) }],
      });
    } finally {
      front.blackhole(false);
      await closeApps();
      await front.stop();
      await redis.stop();
    }
  });

  it('says down while Redis keeps the connection open and answers nothing, and up again afterwards', async () => {
    const module = SessionModule.forRoot({
      redis: `redis://127.0.0.1:${proxy.port}`,
      secrets: secretOf('terminus'),
      keyPrefix: `terminus-${randomBytes(4).toString('hex')}:`,
    });
    const { browser } = await startApp({ platform: 'express', ...parts, module });
    expect((await browser().get('/health')).status).toBe(200);
    proxy.blackhole(true);
    expect((await browser().get('/health')).status).toBe(503);
    proxy.blackhole(false);
    const giveUp = Date.now() + 10_000;
    while ((await browser().get('/health')).status !== 200) {
      if (Date.now() > giveUp) throw new Error('it stays down');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });
});
