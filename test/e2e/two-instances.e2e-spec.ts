import { setTimeout as sleep } from 'node:timers/promises';
import { SessionService, SessionStore } from 'nestjs-sessions';
import { ADMIN, type Browser, USER } from './support/browser.js';
import { randomPrefix, redisUrl, Sample, SECRET } from './support/sample.js';

/** Two instances of the application on one Redis, one on each platform. */
describe('two instances on one Redis', () => {
  let instances: [Sample, Sample];
  let here: Sample;
  let there: Sample;

  beforeEach(async () => {
    const env = { REDIS_URL: redisUrl(), SESSION_SECRET: SECRET, KEY_PREFIX: randomPrefix() };
    const options = (given: object) => ({ ...given, session: { maxSessionsPerUser: 3 } });
    instances = [
      await Sample.start({ adapter: 'express', env, options }),
      await Sample.start({ adapter: 'fastify', env, options }),
    ];
    [here, there] = instances;
  });
  afterEach(async () => {
    for (const instance of instances) await instance.close();
  });

  const elsewhere = (browser: Browser): Browser => {
    const copy = browser.copy();
    copy.url = browser.url === here.url ? there.url : here.url;
    return copy;
  };

  it('a sign-in at one is good at the other, and both list it', async () => {
    const browser = here.browser();
    const { id } = await browser.signedIn();
    expect((await elsewhere(browser).get('/me')).body.email).toBe(USER.email);
    expect((await elsewhere(browser).get('/sessions')).body).toMatchObject([{ id, current: true }]);
  });

  it('7.4.1: what ends at one is 401 at the other at its next request', async () => {
    const browser = here.browser();
    await browser.signedIn();
    const copy = elsewhere(browser);
    expect((await copy.get('/me')).status).toBe(200);
    await browser.post('/auth/logout');
    const reply = await copy.get('/me');
    expect([reply.status, reply.body.code]).toEqual([401, 'session_ended']);
  });

  it.each(['logout-others', 'logout-all'])('%s at one ends sessions of the other', async (route) => {
    const [mine, other] = [here.browser(), there.browser()];
    await mine.signedIn();
    await other.signedIn();
    const reply = await mine.post(`/auth/${route}`);
    expect(reply.body.ended).toBe(route === 'logout-all' ? 2 : 1);
    expect((await other.get('/me')).status).toBe(401);
    expect((await mine.get('/me')).status).toBe(route === 'logout-all' ? 401 : 200);
  });

  it('an end by id and by an administrator is seen at once', async () => {
    const [mine, other, admin] = [here.browser(), there.browser(), there.browser()];
    await mine.signedIn();
    const { id } = await other.signedIn();
    await mine.delete(`/sessions/${id}`);
    expect((await other.get('/me')).body.code).toBe('session_revoked');
    await admin.signedIn(ADMIN);
    await admin.delete('/admin/users/u-1001/sessions');
    expect((await mine.get('/me')).status).toBe(401);
  });

  it('a step-up at one makes the old token 401 at the other', async () => {
    const browser = here.browser();
    await browser.signedIn();
    const old = elsewhere(browser);
    await browser.post('/auth/step-up', { password: USER.password });
    expect((await old.get('/me')).status).toBe(401);
    expect((await elsewhere(browser).get('/me')).status).toBe(200);
  });

  it('preferences and roles written at one are read at the other', async () => {
    const browser = here.browser();
    await browser.signedIn();
    await Promise.all([
      browser.patch('/me/preferences', { theme: 'dark' }),
      elsewhere(browser).patch('/me/preferences', { language: 'it' }),
    ]);
    for (const each of [browser, elsewhere(browser)]) {
      expect((await each.get('/me/preferences')).body).toEqual({ theme: 'dark', language: 'it' });
    }
    await here.get(SessionService).updateUser('u-1001', { roles: ['user', 'admin'] });
    expect((await elsewhere(browser).get('/admin/users/u-1002/sessions')).status).toBe(200);
  });

  it('100 increments in parallel over both add up to 100', async () => {
    const browser = here.browser();
    const { id } = await browser.signedIn();
    const services = instances.map((instance) => instance.get(SessionService));
    const add = (service: SessionService): Promise<unknown> =>
      service.update<{ count?: number }>(id, ({ data }) => ({ data: { count: (data.count ?? 0) + 1 } }));
    await Promise.all(Array.from({ length: 100 }, (_, i) => add(services[i % 2] as SessionService)));
    expect((await there.get(SessionService).get(id))?.data['count']).toBe(100);
  });

  it('15.4.2: of 50 parallel sign-ins spread over both at limit 3, 3 live', async () => {
    const browsers = Array.from({ length: 50 }, (_, i) => (instances[i % 2] as Sample).browser());
    const replies = await Promise.all(browsers.map((browser) => browser.signIn()));
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(50);
    const statuses = await Promise.all(browsers.map((browser) => elsewhere(browser).get('/me')));
    expect(statuses.filter(({ status }) => status === 200)).toHaveLength(3);
    expect(await here.get(SessionStore).count()).toBe(3);
    expect(await there.get(SessionStore).count()).toBe(3);
  });

  it('failures are counted together', async () => {
    const wrong = { ...USER, password: 'wrong' };
    for (let i = 0; i < 10; i++) expect((await (instances[i % 2] as Sample).browser().signIn(wrong)).status).toBe(401);
    for (const instance of instances) expect((await instance.browser().signIn(wrong)).status).toBe(429);
  });

  it('7.4.5: 20 sign-ins racing an end of all, spread over both: ended and counted, alive, or refused', async () => {
    const [caller, ...others] = Array.from({ length: 21 }, (_, i) => (instances[i % 2] as Sample).browser());
    await (caller as Browser).signedIn();
    const [ended, replies] = await Promise.all([
      elsewhere(caller as Browser).post('/auth/logout-all'),
      Promise.all(others.map((browser) => browser.signIn())),
    ]);
    expect(ended.status).toBe(200);
    const refused = replies.filter(({ status, body }) => status === 401 && body.code === 'session_revoked').length;
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(20 - refused);
    await sleep(50);
    const alive = (await Promise.all(others.map((browser) => browser.get('/me')))).filter(
      ({ status }) => status === 200,
    );
    expect(alive.length).toBeLessThanOrEqual(3);
    expect(await here.get(SessionStore).count()).toBe(alive.length);
  });
});
