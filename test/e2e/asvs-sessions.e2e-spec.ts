import { setTimeout as sleep } from 'node:timers/promises';
import { type LimitPolicy, SessionAdminService, SessionEvents, SessionService, SessionStore } from 'nestjs-sessions';
import { LIMIT_POLICIES, type SessionEndedEvent } from 'nestjs-sessions/store';
import { ADMIN, type Browser, USER } from './support/browser.js';
import { Sample, type SampleSettings, STACKS, STORES } from './support/sample.js';

const USER_ID = 'u-1001';
const ADMIN_ID = 'u-1002';

describe.each(STACKS)('sessions (ASVS 5.0, V7 and others), $adapter on $store', (stack) => {
  let sample: Sample;
  const start = async (settings: SampleSettings = {}): Promise<void> => {
    sample = await Sample.start({ ...stack, ...settings });
  };
  const limited = (max: number, onLimit?: LimitPolicy): SampleSettings => ({
    options: (options) => ({
      ...options,
      session: { ...options.session, maxSessionsPerUser: max, touchInterval: 1, ...(onLimit && { onLimit }) },
    }),
  });
  const live = (): Promise<number> => sample.get(SessionStore).count();
  const ends = (): SessionEndedEvent[] => {
    const heard: SessionEndedEvent[] = [];
    sample.get(SessionEvents).on('ended', (event) => heard.push(event));
    return heard;
  };

  afterEach(() => sample.close());

  it.each(LIMIT_POLICIES)('7.1.2: at the limit and one more, %s', async (policy) => {
    await start(limited(2, policy));
    const [first, second, third] = [sample.browser(), sample.browser(), sample.browser()];
    await first.signedIn();
    await sleep(5);
    await second.signedIn();
    await sleep(5);
    // The older one is the one used last.
    const before = (await first.sessions()).find(({ current }) => current);
    await untilTouched(first, before?.lastAccess ?? 0);

    const { status, body } = await third.signIn();
    if (policy === 'reject') {
      expect(status).toBe(409);
      expect(body.code).toBe('session_limit_reached');
      expect(third.cookies.size).toBe(0);
    } else {
      expect(status).toBe(200);
    }
    const expected: Record<LimitPolicy, number[]> = {
      'evict-least-recent': [200, 401, 200],
      'evict-oldest': [401, 200, 200],
      reject: [200, 200, 401],
    };
    expect([await statusOf(first), await statusOf(second), await statusOf(third)]).toEqual(expected[policy]);
    expect(await live()).toBe(2);
    if (policy === 'evict-oldest') expect((await first.get('/me')).body.code).toBe('session_evicted');
  });

  it('7.2.1: a forged cookie is 401, whichever part of it was changed', async () => {
    await start();
    const browser = sample.browser();
    await browser.signedIn();
    const token = browser.token;
    const at = (index: number): string =>
      token.slice(0, index) + (token[index] === 'A' ? 'B' : 'A') + token.slice(index + 1);
    const [id = '', secret = '', n = '', tag = ''] = token.split('.');
    const forged = [
      ...[3, 10, 20, 34, 36, 50, token.length - 20].map(at),
      [id, secret, '1', tag].join('.'),
      [id, secret, `0${n}`, tag].join('.'),
      [id, secret, n].join('.'),
      [id, secret, n, ''].join('.'),
      id.slice(3),
      `rt${id.slice(2)}.${secret}.${n}.${tag}`,
      `${token}x`,
      `${token}.${tag}`,
      token.toUpperCase(),
      '*',
      '{}',
      'null',
      'true',
      '[object Object]',
      'x'.repeat(10_000),
    ];
    for (const value of forged) {
      const thief = sample.browser();
      thief.cookies.set('session', value);
      const reply = await thief.get('/me');
      expect([value.slice(0, 150), reply.status]).toEqual([value.slice(0, 150), 401]);
      expect(reply.headers.get('www-authenticate')).toMatch(/^Bearer realm="[^"]+", error="invalid_token"/);
    }
    expect(await statusOf(browser)).toBe(200);
  });

  it('7.2.2: two sign-ins share neither id nor secret', async () => {
    await start();
    const [first, second] = [sample.browser(), sample.browser()];
    const [one, two] = [await first.signedIn(), await second.signedIn()];
    expect(one.id).not.toBe(two.id);
    expect(first.token.split('.')[1]).not.toBe(second.token.split('.')[1]);
    expect(first.token.split('.')[3]).not.toBe(second.token.split('.')[3]);
  });

  it('7.2.4: a sign-in never adopts a cookie that was there before (CVE-2022-25896)', async () => {
    await start();
    const [attacker, victim] = [sample.browser(), sample.browser()];
    await attacker.signedIn(ADMIN);
    const planted = attacker.token;
    victim.cookies.set('session', planted);
    await victim.signedIn(USER);
    expect(victim.token).not.toBe(planted);
    expect(victim.token.split('.')[1]).not.toBe(planted.split('.')[1]);
    expect(await statusOf(attacker)).toBe(401);

    const invented = planted.replace(/^st_.{16}/, `st_${'A'.repeat(16)}`);
    const other = sample.browser();
    other.cookies.set('session', invented);
    await other.signedIn(USER);
    expect(other.token).not.toBe(invented);
  });

  it('7.2.4: a step-up gives a new token under which the session goes on, and the old one is 401 at once', async () => {
    await start();
    const browser = sample.browser();
    const before = await browser.signedIn();
    const old = browser.copy();
    const reply = await browser.post('/auth/step-up', { password: USER.password });
    expect(reply.status).toBe(200);
    expect(reply.body.session.id).toBe(before.id);
    expect(browser.token).not.toBe(old.token);
    expect((await old.get('/me')).body.code).toBe('invalid_token');
    expect((await old.get('/sessions')).status).toBe(401);
    expect((await old.post('/auth/logout-all')).status).toBe(401);
    expect(await statusOf(browser)).toBe(200);
  });

  it('7.2.4: a step-up with a wrong password changes nothing', async () => {
    await start();
    const browser = sample.browser();
    await browser.signedIn();
    const token = browser.token;
    expect((await browser.post('/auth/step-up', { password: 'wrong' })).status).toBe(401);
    expect(browser.token).toBe(token);
    expect(await statusOf(browser)).toBe(200);
  });

  it('7.4.1: after logout the cookie is 401, also for anyone who kept a copy', async () => {
    await start();
    const browser = sample.browser();
    await browser.signedIn();
    const copy = browser.copy();
    expect((await browser.post('/auth/logout')).status).toBe(204);
    expect((await copy.get('/me')).body.code).toBe('session_ended');
    expect((await copy.patch('/me/preferences', { theme: 'dark' })).status).toBe(401);
    expect(await live()).toBe(0);
  });

  it('7.4.1: a request that is slow to write does not undo a logout (expressjs/session#632)', async () => {
    await start();
    const browser = sample.browser();
    const { id } = await browser.signedIn();
    const service = sample.get(SessionService);
    const slow = service.update(id, { data: { slow: 'x'.repeat(10_000) } });
    await browser.copy().post('/auth/logout');
    await slow;
    expect(await service.update(id, { data: { back: true } })).toBeNull();
    expect(await statusOf(browser)).toBe(401);
    expect(await live()).toBe(0);
  });

  it('7.4.2: all sessions of a user end, nobody else’s do', async () => {
    await start();
    const mine = [sample.browser(), sample.browser(), sample.browser()];
    const other = sample.browser();
    for (const browser of mine) await browser.signedIn();
    await other.signedIn(ADMIN);
    const reply = await (mine[0] as Browser).post('/auth/logout-all');
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({ ended: 3 });
    expect(await Promise.all(mine.map(statusOf))).toEqual([401, 401, 401]);
    expect(await statusOf(other)).toBe(200);
  });

  it('7.4.2, 7.4.5: an administrator ends all sessions of a user', async () => {
    await start();
    const [user, admin] = [sample.browser(), sample.browser()];
    await user.signedIn();
    await admin.signedIn(ADMIN);
    expect((await user.get(`/admin/users/${ADMIN_ID}/sessions`)).status).toBe(403);
    expect((await user.delete(`/admin/users/${ADMIN_ID}/sessions`)).status).toBe(403);
    expect((await sample.browser().get(`/admin/users/${USER_ID}/sessions`)).status).toBe(401);
    expect((await admin.get(`/admin/users/${USER_ID}/sessions`)).body).toHaveLength(1);
    expect((await admin.delete(`/admin/users/${USER_ID}/sessions`)).body).toEqual({ ended: 1 });
    expect((await user.get('/me')).body.code).toBe('session_revoked');
    expect((await admin.get(`/admin/users/${USER_ID}/sessions`)).body).toEqual([]);
    expect(await statusOf(admin)).toBe(200);
  });

  it('7.4.5: everybody’s sessions end, and anyone who signs in meanwhile is counted or alive', async () => {
    await start(limited(100));
    const browsers = Array.from({ length: 12 }, () => sample.browser());
    for (const browser of browsers.slice(0, 6)) await browser.signedIn(USER);
    const heard = ends();
    const [total] = await Promise.all([
      sample.get(SessionAdminService).endEverybody({ actor: 'root', reason: 'test' }),
      ...browsers.slice(6).map((browser, i) => browser.signedIn(i % 2 ? USER : ADMIN)),
    ]);
    const statuses = await Promise.all(browsers.map(statusOf));
    expect(statuses.slice(0, 6)).toEqual(Array(6).fill(401));
    const alive = statuses.filter((status) => status === 200).length;
    expect(alive).toBe(await live());
    expect(alive + total).toBe(12);
    await until(() => heard.length === total);
  });

  it('7.4.2, 7.4.3: a sign-in racing the end of all is ended and counted, or alive, or refused as older than the end', async () => {
    await start(limited(100));
    const [caller, ...others] = Array.from({ length: 11 }, () => sample.browser());
    await (caller as Browser).signedIn();
    const [reply, signIns] = await Promise.all([
      (caller as Browser).copy().post('/auth/logout-all'),
      Promise.all(others.map((browser) => browser.signIn())),
    ]);
    const refused = signIns.filter(({ status, body }) => status === 401 && body.code === 'session_revoked').length;
    expect(signIns.filter(({ status }) => status === 200)).toHaveLength(10 - refused);
    const alive = (await Promise.all(others.map(statusOf))).filter((status) => status === 200).length;
    expect(reply.body.ended + alive + refused).toBe(11);
    expect(await live()).toBe(alive);
  });

  it('7.4.3: after ending the others only the current one lives', async () => {
    await start();
    const browsers = [sample.browser(), sample.browser(), sample.browser()];
    for (const browser of browsers) await browser.signedIn();
    const reply = await (browsers[1] as Browser).post('/auth/logout-others');
    expect(reply.status).toBe(200);
    expect(reply.body).toEqual({ ended: 2 });
    expect(await Promise.all(browsers.map(statusOf))).toEqual([401, 200, 401]);
    expect((await (browsers[1] as Browser).post('/auth/logout-others')).body).toEqual({ ended: 0 });
  });

  it('7.5.2: the list has the documented fields and no secret, nothing of anybody else', async () => {
    await start();
    const [second, other] = [sample.browser({ 'user-agent': 'Second' }), sample.browser()];
    await other.signedIn(ADMIN);
    await second.signedIn(USER, { deviceId: 'd-1', deviceName: 'Desk' });
    const { status, body, text } = await second.get('/sessions');
    expect(status).toBe(200);
    expect(body).toEqual([
      {
        id: expect.stringMatching(/^[\w-]{32}$/),
        deviceId: 'd-1',
        deviceName: 'Desk',
        deviceType: expect.stringMatching(/^(mobile|tablet|desktop|unknown)$/),
        client: 'Second',
        ip: '127.0.0.1',
        lastLocation: null,
        createdAt: expect.any(Number),
        lastAccess: expect.any(Number),
        expiresAt: expect.any(Number),
        rememberMe: false,
        deviceBound: false,
        pending: false,
        actor: null,
        current: true,
      },
    ]);
    for (const part of second.token.split('.').slice(1)) if (part.length > 8) expect(text).not.toContain(part);
    expect(text).not.toMatch(/fingerprint|userAgent|hash|token|secret|roles/i);
  });

  it('7.5.2: ending another user’s session or device is 404, as is what nobody has', async () => {
    await start();
    const [user, admin] = [sample.browser(), sample.browser()];
    await user.signedIn(USER);
    const { id } = await admin.signedIn(ADMIN, { deviceId: 'admins-phone' });
    const unknown = `${id.slice(0, 16)}AAAAAAAAAAAAAAAA`;
    for (const path of [
      `/sessions/${id}`,
      `/sessions/${unknown}`,
      '/sessions/nothing',
      '/sessions/*',
      '/sessions/%00',
      `/sessions/${'x'.repeat(1_000)}`,
      '/sessions/__proto__',
      '/devices/admins-phone',
      '/devices/nothing',
      '/devices/%0d%0aX',
    ]) {
      expect([path, (await user.delete(path)).status]).toEqual([path, 404]);
    }
    expect(await statusOf(admin)).toBe(200);
    expect(await live()).toBe(2);
  });

  it('7.5.2: a user ends single sessions and devices of their own, the current one as well', async () => {
    await start();
    const [current, other, device] = [sample.browser(), sample.browser(), sample.browser()];
    const { id } = await current.signedIn(USER, { deviceId: 'here' });
    const { id: otherId } = await other.signedIn();
    await device.signedIn(USER, { deviceId: 'there' });
    expect((await current.delete(`/sessions/${otherId}`)).status).toBe(204);
    expect((await current.delete(`/sessions/${otherId}`)).status).toBe(404);
    expect((await current.delete('/devices/there')).status).toBe(204);
    expect((await current.delete('/devices/there')).status).toBe(404);
    expect(await Promise.all([current, other, device].map(statusOf))).toEqual([200, 401, 401]);
    expect((await current.delete(`/sessions/${id}`)).status).toBe(204);
    expect(current.cookies.size).toBe(0);
    expect(await live()).toBe(0);
    await current.signedIn(USER, { deviceId: 'here' });
    expect((await current.delete('/devices/here')).status).toBe(204);
    expect(current.cookies.size).toBe(0);
    expect(await live()).toBe(0);
  });

  it('7.6.2: an anonymous GET creates nothing', async () => {
    await start();
    const heard: unknown[] = [];
    sample.get(SessionEvents).on('created', (event) => heard.push(event));
    for (const path of ['/', '/me', '/sessions', '/health', '/auth/login', '/nothing']) {
      const reply = await sample.browser().get(path);
      expect(reply.setCookies).toEqual([]);
    }
    expect(await live()).toBe(0);
    expect(heard).toEqual([]);
  });

  it('8.3.2: a change of roles takes effect at the next request, in all sessions of the user', async () => {
    await start();
    const [one, two] = [sample.browser(), sample.browser()];
    await one.signedIn(ADMIN);
    await two.signedIn(ADMIN);
    const path = `/admin/users/${USER_ID}/sessions`;
    expect((await one.get(path)).status).toBe(200);
    expect(await sample.get(SessionService).updateUser(ADMIN_ID, { roles: ['user'] })).toBe(2);
    for (const browser of [one, two]) {
      const reply = await browser.get(path);
      expect(reply.status).toBe(403);
      expect(reply.body.code).toBe('insufficient_scope');
      expect(reply.headers.get('www-authenticate')).toContain('error="insufficient_scope"');
      expect((await browser.get('/me')).body.roles).toEqual(['user']);
    }
    await sample.get(SessionService).updateUser(ADMIN_ID, { roles: ['user', 'admin'] });
    expect((await two.get(path)).status).toBe(200);
  });

  it('15.4.2: of 50 parallel sign-ins at limit 3 exactly 3 live, and every other one ended and was announced', async () => {
    await start(limited(3));
    const heard = ends();
    const browsers = Array.from({ length: 50 }, () => sample.browser());
    const replies = await Promise.all(browsers.map((browser) => browser.signIn()));
    expect(replies.map(({ status }) => status)).toEqual(Array(50).fill(200));
    const statuses = await Promise.all(browsers.map(statusOf));
    expect(statuses.filter((status) => status === 200)).toHaveLength(3);
    expect(await live()).toBe(3);
    await until(() => heard.length === 47);
    expect(new Set(heard.map(({ sessionId }) => sessionId)).size).toBe(47);
    expect(new Set(heard.map(({ reason }) => reason))).toEqual(new Set(['evicted']));
  });

  it('15.4.2: of 50 parallel sign-ins at limit 3 under reject exactly 3 are let in', async () => {
    await start(limited(3, 'reject'));
    const replies = await Promise.all(Array.from({ length: 50 }, () => sample.browser().signIn()));
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(3);
    expect(replies.filter(({ status }) => status === 409)).toHaveLength(47);
    expect(await live()).toBe(3);
  });
});

// Deadlines are the store's affair: one platform is enough.
describe.each(STORES)('deadlines (ASVS 5.0, 7.3), %s', (store) => {
  let sample: Sample;
  const start = async (settings: SampleSettings = {}): Promise<void> => {
    sample = await Sample.start({ store, ...settings });
  };

  afterEach(() => sample.close());

  it('7.3.1, 7.3.2: ends when idle, and in any case at its absolute end, which no access moves', async () => {
    await start({ env: { IDLE_TIMEOUT: '1500ms', ABSOLUTE_TIMEOUT: '3s' } });
    const [busy, idle, late] = [sample.browser(), sample.browser(), sample.browser()];
    const { createdAt, expiresAt } = await busy.signedIn();
    const since = performance.now();
    expect(Number(expiresAt) - Number(createdAt)).toBe(3_000);
    await idle.signedIn();
    let used = 0;
    for (;;) {
      const askedAt = performance.now();
      const reply = await busy.get('/me');
      if (reply.status !== 200) {
        expect(reply.body.code).toBe('session_expired');
        break;
      }
      used = askedAt - since;
      // The list may be asked for when the session is over by then.
      const own = (await busy.get('/sessions')).body as { current: boolean; expiresAt: number }[] | { code: string };
      if (Array.isArray(own)) expect(own.find(({ current }) => current)?.expiresAt).toBe(expiresAt);
      await sleep(300);
    }
    // Each access moved the idle deadline, and none the absolute one.
    expect(used).toBeGreaterThan(1_500);
    expect(used).toBeLessThan(3_500);
    expect((await idle.get('/me')).body.code).toBe('session_expired');
    // Keeps the record of the user alive; the session past its deadline is refused although.
    await late.signedIn();
    expect((await busy.get('/me')).body.code).toBe('session_expired');
    expect((await late.get('/sessions')).body).toHaveLength(1);
  });

  it('7.3.1, 7.5.2: looking at the list keeps no other session alive, and shows nothing expired', async () => {
    await start({ env: { IDLE_TIMEOUT: '1200ms' } });
    const [watcher, watched] = [sample.browser(), sample.browser()];
    await watcher.signedIn();
    const { id } = await watched.signedIn();
    for (let i = 0; i < 5; i++) {
      await sleep(300);
      await watcher.get('/sessions');
    }
    expect((await watcher.sessions()).map((session) => session.id)).not.toContain(id);
    expect(await statusOf(watched)).toBe(401);
  });
});

async function statusOf(browser: Browser): Promise<number> {
  return (await browser.get('/me')).status;
}

async function untilTouched(browser: Browser, before: number): Promise<void> {
  await until(async () => {
    return (await browser.sessions()).some(({ current, lastAccess }) => current && lastAccess > before);
  });
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('it did not come about within 20 s');
    await sleep(10);
  }
}
