import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { RedisSessionStore, SessionEvents, type SessionEvent, type SessionModuleOptions } from '../../src/index.js';
import { testRedisUrl } from '../support/redis-harness.js';
import { AccountController } from '../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../support/app.js';
import { CHROME, FIREFOX, SAFARI_ON_IPHONE } from '../support/clients.js';
import { SecurityController } from '../support/security.controller.js';
import { secretOf } from '../support/secrets.js';

// What the other files show on a store that counts, once more where scripts decide.
describe.each(PLATFORMS)('devices and security with Redis, on %s', (platform) => {
  let client: Redis;
  let store: RedisSessionStore;
  let app: TestApp;
  let heard: SessionEvent[];
  let shift: number;

  const start = async (session: SessionModuleOptions = {}): Promise<void> => {
    const controllers = [AccountController, SecurityController];
    app = await startApp({ platform, controllers, session: { store, secrets: secretOf('s'), ...session } });
    heard = [];
    app.app.get(SessionEvents).all$.subscribe((event) => heard.push(event));
    await store.ready();
  };
  const until = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
    const deadline = Date.now() + 5_000;
    while (!(await condition())) {
      if (Date.now() > deadline) throw new Error('it did not come about within 5 s');
      await sleep(5);
    }
  };

  beforeEach(() => {
    shift = 0;
    client = new Redis(testRedisUrl());
    store = new RedisSessionStore(client, {
      keyPrefix: `test-${randomBytes(6).toString('hex')}:`,
      commandTimeout: 5_000,
      timeShift: () => shift,
    });
  });
  afterEach(async () => {
    await closeApps();
    await store.close();
    client.disconnect();
  });

  it('7.2.4: a step-up takes the new client over, together with what the proof changes', async () => {
    await start({ security: { useFingerprint: 'step-up' } });
    const browser = app.browser();
    await browser.post('/login', { userId: 'ann', pending: true }, { 'user-agent': CHROME });
    const elsewhere = { 'user-agent': FIREFOX };
    expect((await browser.get('/cart', elsewhere)).body.code).toBe('step_up_required');
    const reply = await browser.post('/second-factor', undefined, elsewhere);
    expect(reply.body.session).toMatchObject({
      deviceName: 'Firefox on Windows',
      amr: ['pwd', 'otp'],
      metadata: { userAgent: FIREFOX },
    });
    expect((await browser.get('/me', elsewhere)).status).toBe(200);
    expect((await browser.get('/me', { 'user-agent': CHROME })).status).toBe(403);
  });

  it('end: the session ends with the reason hijack', async () => {
    await start({ security: { useFingerprint: 'end' } });
    const browser = app.browser();
    const { session } = (await browser.post('/login', { userId: 'ann' }, { 'user-agent': CHROME })).body;
    expect((await browser.get('/me', { 'user-agent': FIREFOX })).status).toBe(401);
    expect(await store.read(session.id)).toMatchObject({ state: 'ended', reason: 'hijack' });
  });

  it('a rotated cookie that another browser repeats within its grace is reuse', async () => {
    await start({ session: { rotationInterval: '1m' } });
    const browser = app.browser();
    const { session } = (await browser.post('/login', { userId: 'ann' }, { 'user-agent': CHROME })).body;
    const copy = app.browser();
    for (const [name, value] of browser.jar) copy.jar.set(name, value);
    shift += 61_000;
    expect((await browser.get('/me', { 'user-agent': CHROME })).setCookies).toHaveLength(1);
    expect((await copy.get('/me', { 'user-agent': FIREFOX })).body.code).toBe('session_revoked');
    expect(await store.read(session.id)).toMatchObject({ state: 'ended', reason: 'reuse' });
  });

  it('7.1.2: per device type, with the list to choose from; a new device is announced', async () => {
    await start({ session: { maxSessionsPerDeviceType: { desktop: 1 }, onLimit: 'reject' }, device: { cookie: true } });
    const first = (await app.browser().post('/login', { userId: 'ann' }, { 'user-agent': CHROME })).body.session;
    const refused = await app.browser().post('/login', { userId: 'ann' }, { 'user-agent': FIREFOX });
    const choices: { id: string }[] = refused.body.sessions;
    expect([refused.status, choices.map(({ id }) => id)]).toEqual([409, [first.id]]);
    expect(refused.body.message).toContain('The limit of 1 sessions');
    const phone = (await app.browser().post('/login', { userId: 'ann' }, { 'user-agent': SAFARI_ON_IPHONE })).body
      .session;
    await until(() => heard.some(({ type }) => type === 'new-device'));
    expect(heard.filter(({ type }) => type === 'new-device').map(({ sessionId }) => sessionId)).toEqual([phone.id]);
  });

  it('a visitor signs in: another session, with what is taken over', async () => {
    await start({ mergeAnonymous: (visitor, user) => ({ ...user, cart: visitor['cart'] }) });
    const browser = app.browser();
    const visit = (await browser.post('/visit', { cart: ['book'] })).body.session;
    expect((await browser.get('/me')).status).toBe(401);
    const { session } = (await browser.post('/login', { userId: 'ann', data: { theme: 'dark' } })).body;
    expect(session.data).toEqual({ theme: 'dark', cart: ['book'] });
    expect(await store.read(visit.id)).toMatchObject({ state: 'ended', reason: 'replaced' });
  });

  it('7.4.3: after a change of password the others are gone', async () => {
    await start();
    const [here, there] = [app.browser(), app.browser()];
    for (const browser of [here, there]) await browser.post('/login', { userId: 'ann' });
    expect((await here.post('/password')).body).toMatchObject({
      ended: 1,
      session: { data: { passwordChangedAt: 1 } },
    });
    expect([(await here.get('/me')).status, (await there.get('/me')).status]).toEqual([200, 401]);
  });

  it('an impersonated session counts towards no limit, and ends with the administrator’s own', async () => {
    await start({ session: { maxSessionsPerUser: 1, onLimit: 'reject' } });
    const [user, admin] = [app.browser(), app.browser()];
    await user.post('/login', { userId: 'ann' });
    const own = (await admin.post('/login', { userId: 'root', roles: ['admin'] })).body.session;
    const { session } = (await admin.post('/impersonate', { userId: 'ann' })).body;
    expect((await user.get('/me')).status).toBe(200);
    expect((await admin.get('/me')).body.user.id).toBe('ann');
    await store.destroy(own.id);
    await until(async () => (await store.get(session.id)) === null);
    expect(await store.read(session.id)).toMatchObject({ state: 'ended', reason: 'revoked' });
    expect((await user.get('/me')).status).toBe(200);
  });
});
