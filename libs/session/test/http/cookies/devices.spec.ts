import { setTimeout as sleep } from 'node:timers/promises';
import { DeviceSessionService, SessionEvents, type NewSession, type SessionModuleOptions } from '../../../src/index.js';
import type { NewDeviceEvent } from '../../../src/store/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { CHROME, CHROME_UPDATED, FIREFOX, SAFARI_ON_IPHONE } from '../../support/clients.js';
import { secretOf } from '../../support/secrets.js';

const DEVICE = '__Host-device';
const HOME: Record<string, string> = { 'user-agent': CHROME };

afterEach(closeApps);

describe.each(PLATFORMS)('devices on %s', (platform) => {
  let app: TestApp;
  let heard: NewDeviceEvent[];
  const start = async (session: SessionModuleOptions = {}, trustProxy = false): Promise<void> => {
    app = await startApp({ platform, controllers: [AccountController], session, trustProxy });
    heard = [];
    app.app.get(SessionEvents).on('new-device', (event) => heard.push(event));
  };
  const signIn = async (
    input: Partial<NewSession> = {},
    { browser = app.browser(), headers = HOME }: { browser?: Browser; headers?: Record<string, string> } = {},
  ) => {
    const reply = await browser.post('/login', { userId: 'ann', ...input }, headers);
    expect(reply.status).toBe(200);
    return { browser, session: reply.body.session, reply };
  };
  const idsOf = (browser: Browser): string | undefined => browser.jar.get(DEVICE);

  describe('facts', () => {
    it('name, type and fingerprint are told by the request where they are not given', async () => {
      await start();
      const { session } = await signIn();
      expect(session).toMatchObject({ deviceName: 'Chrome on Windows', deviceType: 'desktop' });
      expect(session.metadata).toEqual({
        userAgent: CHROME,
        ip: '127.0.0.1',
        device: 'Chrome on Windows',
        fingerprint: expect.stringMatching(/^f1\.[\w-]{43}$/),
      });
      expect(session).not.toHaveProperty('deviceId');
      const phone = await signIn({}, { headers: { 'user-agent': SAFARI_ON_IPHONE } });
      expect(phone.session).toMatchObject({ deviceName: 'Safari on iOS', deviceType: 'mobile' });
    });

    it('what is given counts; client hints improve the name and the type, and never touch the fingerprint', async () => {
      await start();
      const given = await signIn({ deviceId: 'd', deviceName: 'My laptop', deviceType: 'tablet' });
      expect(given.session).toMatchObject({ deviceName: 'My laptop', deviceType: 'tablet' });
      const hinted = await signIn(
        {},
        {
          headers: {
            'user-agent': CHROME,
            'sec-ch-ua': '"Brave";v="131", "Chromium";v="131", "Not_A Brand";v="24"',
            'sec-ch-ua-mobile': '?0',
            'sec-ch-ua-platform': '"Windows"',
          },
        },
      );
      expect(hinted.session.deviceName).toBe('Brave on Windows');
      expect(hinted.session.metadata.fingerprint).toBe(given.session.metadata.fingerprint);
    });

    it.each([
      ['10 kB', 'x'.repeat(10_000)],
      ['emoji', '😀 Chrome/1'],
      ['controls', 'a\tb\u0085\u009bc'],
      ['markup', '<script>alert(1)</script>'],
      ['nothing', ''],
    ])('a hostile user agent (%s) stops no sign-in and is bounded', async (_, userAgent) => {
      await start();
      // fetch refuses what HTTP cannot carry; what it can is sent as it is.
      const sent = Buffer.from(userAgent, 'utf8').toString('latin1');
      const { session } = await signIn({}, { headers: { 'user-agent': sent } });
      expect((session.metadata.userAgent ?? '').length).toBeLessThanOrEqual(512);
      expect(session.metadata.userAgent ?? '').not.toMatch(/\p{Cc}/u);
      expect(session.deviceName ?? 'none').toMatch(/^[\w .()+-]{1,90}$/);
    });

    it('4.1.3: a spoofed X-Forwarded-For changes nothing without trust in a proxy, and is heeded with it', async () => {
      const headers = {
        'user-agent': CHROME,
        'x-forwarded-for': '203.0.113.9',
        forwarded: 'for=203.0.113.9',
        'x-real-ip': '203.0.113.9',
      };
      await start();
      expect((await signIn({}, { headers })).session.metadata.ip).toBe('127.0.0.1');
      await start({}, true);
      expect((await signIn({}, { headers })).session.metadata.ip).toBe('203.0.113.9');
    });

    it.each([
      ['truncated', '203.0.113.0'],
      ['none', undefined],
    ] as const)('ipPrivacy %s keeps %s of the address, everywhere', async (ipPrivacy, kept) => {
      const asked: string[] = [];
      const locate = (ip: string) => {
        asked.push(ip);
        return { country: 'DE', city: 'Berlin' };
      };
      await start({ security: { ipPrivacy }, locate }, true);
      const { session } = await signIn({}, { headers: { 'user-agent': CHROME, 'x-forwarded-for': '203.0.113.9' } });
      expect(session.metadata.ip).toBe(kept);
      expect(session.lastLocation).toEqual({ ip: kept ?? '', country: 'DE', city: 'Berlin' });
      expect(asked).toEqual(['203.0.113.9']);
      expect(JSON.stringify(await app.store.getActiveSessions('ann'))).not.toContain('203.0.113.9');
    });
  });

  describe('location', () => {
    it('is asked for the address, and what is given counts before', async () => {
      await start({ locate: async () => ({ country: 'AT', city: 'Wien' }) });
      expect((await signIn()).session.lastLocation).toEqual({ ip: '127.0.0.1', country: 'AT', city: 'Wien' });
      const lastLocation = { ip: '1.2.3.4', country: 'CH' };
      expect((await signIn({ lastLocation })).session.lastLocation).toEqual(lastLocation);
    });

    it.each<[string, SessionModuleOptions['locate']]>([
      [
        'throws',
        () => {
          throw new Error('no database');
        },
      ],
      ['rejects', () => Promise.reject(new Error('no database'))],
      ['finds nothing', () => null],
      ['is slow', () => sleep(5_000, { country: 'DE' }, { ref: false })],
      ['answers nonsense', () => ({ country: 5, city: ['x'] }) as never],
      ['answers text', () => 'Berlin' as never],
    ])('no sign-in fails or waits for long because the hook %s', async (_, locate) => {
      await start({ locate });
      const { session } = await signIn();
      expect(session).not.toHaveProperty('lastLocation');
    });

    it('bounds what the hook says', async () => {
      await start({ locate: () => ({ country: 'x'.repeat(10_000), city: '' }) });
      expect((await signIn()).session.lastLocation).toEqual({ ip: '127.0.0.1', country: 'x'.repeat(100) });
    });
  });

  describe('the device cookie', () => {
    it('is off unless asked for', async () => {
      await start();
      expect((await signIn()).reply.setCookies.map(({ name }) => name)).toEqual(['__Host-session']);
    });

    it('is set at sign-in alone, for 400 days, HttpOnly, Secure and Lax, and holds no device id', async () => {
      await start({ device: { cookie: true }, cookie: { sameSite: 'strict' } });
      const { reply, session, browser } = await signIn();
      const cookie = reply.setCookies.find(({ name }) => name === DEVICE);
      expect(cookie).toMatchObject({ httpOnly: true, secure: true, sameSite: 'lax', path: '/', maxAge: 400 * 86_400 });
      expect(cookie?.value).toMatch(/^d1\.[\w-]{22}\.[\w-]{43}$/);
      expect(session.deviceId).toMatch(/^[\w-]{22}$/);
      expect(cookie?.value).not.toContain(session.deviceId);
      for (const path of ['/me', '/optional', '/public']) expect((await browser.get(path)).setCookies).toEqual([]);
      expect((await app.browser().get('/optional')).setCookies).toEqual([]);
      await browser.post('/logout');
      expect(idsOf(browser)).toBe(cookie?.value);
    });

    it('over plain http it is "device", and beside a domain "__Secure-device"', async () => {
      await start({ device: { cookie: true }, cookie: { name: 'session', secure: false } });
      expect([...(await signIn()).browser.jar.keys()].sort()).toEqual(['device', 'session']);
      await start({ device: { cookie: true }, cookie: { domain: 'example.com' } });
      expect([...(await signIn()).browser.jar.keys()].sort()).toEqual(['__Secure-device', '__Secure-session']);
      const same = { device: { cookie: true }, cookie: { name: 'device', secure: false } };
      await expect(start(same)).rejects.toThrow('device is the name of the cookie for device.cookie');
    });

    it('two jars are two devices; one jar that signs in again is the same one, and replaces', async () => {
      await start({ device: { cookie: true } });
      const [one, two] = [await signIn(), await signIn()];
      expect(one.session.deviceId).not.toBe(two.session.deviceId);
      expect(await app.store.count()).toBe(2);
      // The session cookie is lost, as at the end of a browser; the device cookie is not.
      one.browser.jar.delete('__Host-session');
      const again = await signIn({}, { browser: one.browser });
      expect(again.session.deviceId).toBe(one.session.deviceId);
      expect(await app.store.read(one.session.id)).toMatchObject({ state: 'ended', reason: 'replaced' });
      expect(await app.store.count()).toBe(2);
    });

    it('clients that keep no cookies are a new device each, up to the limit', async () => {
      await start({ device: { cookie: true } });
      for (let i = 0; i < 8; i += 1) await signIn();
      const sessions = await app.store.getActiveSessions('ann');
      expect(new Set(sessions.map(({ deviceId }) => deviceId)).size).toBe(5);
    });

    it('two users of one browser have device ids that have nothing in common', async () => {
      await start({ device: { cookie: true } });
      const { browser, session } = await signIn();
      const other = await signIn({ userId: 'bob' }, { browser });
      expect(other.session.deviceId).not.toBe(session.deviceId);
      const back = await signIn({}, { browser });
      expect(back.session.deviceId).toBe(session.deviceId);
    });

    it('of two cookies of the name, the one that we signed counts', async () => {
      await start({ device: { cookie: true } });
      const { browser, session } = await signIn();
      const value = idsOf(browser) ?? '';
      browser.jar.set(DEVICE, `${value.slice(0, -3)}AAA; ${DEVICE}=${value}`);
      const again = await signIn({}, { browser });
      expect(again.session.deviceId).toBe(session.deviceId);
      expect(await app.store.count()).toBe(1);
    });

    it('a device that the application names counts, and sets no cookie', async () => {
      await start({ device: { cookie: true } });
      const { session, reply } = await signIn({ deviceId: 'mine' });
      expect(session.deviceId).toBe('mine');
      expect(reply.setCookies.map(({ name }) => name)).toEqual(['__Host-session']);
    });

    it.each([
      ['forged', (value: string) => `d1.${'A'.repeat(22)}.${value.split('.')[2]}`],
      ['changed in its tag', (value: string) => value.slice(0, -3) + 'AAA'],
      ['empty', () => ''],
      ['10 kB', () => 'x'.repeat(10_000)],
      ['there twice, both forged', (value: string) => `${value.slice(0, -3)}AAA; ${DEVICE}=${value.slice(0, -3)}BBB`],
    ])('a cookie that is %s is no device: a new one is drawn', async (_, change) => {
      await start({ device: { cookie: true } });
      const { browser, session } = await signIn();
      browser.jar.delete('__Host-session');
      browser.jar.set(DEVICE, change(idsOf(browser) ?? ''));
      const again = await signIn({}, { browser });
      expect(again.session.deviceId).not.toBe(session.deviceId);
      expect(idsOf(browser)).toMatch(/^d1\./);
      expect(await app.store.count()).toBe(2);
    });

    it('outlives a change of the secrets, as long as the old one is recognised', async () => {
      const [old, fresh] = [secretOf('o'), secretOf('n')];
      await start({ device: { cookie: true }, secrets: old });
      const { browser, session } = await signIn();
      const store = app.store;
      await start({ device: { cookie: true }, secrets: [fresh, old], store });
      const moved = app.browser();
      moved.jar.set(DEVICE, idsOf(browser) ?? '');
      const again = await signIn({}, { browser: moved });
      expect(again.session.deviceId).toBe(session.deviceId);
      expect(idsOf(moved)).not.toBe(idsOf(browser));
    });
  });

  describe('hostile device ids', () => {
    it.each(['a:b', '*', '{}', '{user}:x', 'line\nbreak', '%00', '../..', '__proto__', '🦊', ' '])(
      '%j is one device of one user, and nobody else’s',
      async (deviceId) => {
        await start();
        const mine = await signIn({ deviceId });
        const theirs = await signIn({ userId: 'bob', deviceId });
        const again = await signIn({ deviceId });
        expect(again.session.deviceId).toBe(deviceId);
        expect(await app.store.read(mine.session.id)).toMatchObject({ state: 'ended', reason: 'replaced' });
        const devices = app.app.get(DeviceSessionService);
        expect(await devices.destroyDevice('ann', deviceId)).toBe(true);
        expect(await devices.destroyDevice('ann', deviceId)).toBe(false);
        expect((await devices.getDeviceSessions('bob')).map(({ id }) => id)).toEqual([theirs.session.id]);
      },
    );

    it('10 kB is 400, and so is what is no well-formed text', async () => {
      await start();
      for (const deviceId of ['x'.repeat(10_240), '\ud800', '', 5 as unknown as string, ['a'] as unknown as string]) {
        const reply = await app.browser().post('/login', { userId: 'ann', deviceId });
        expect([reply.status, reply.body.code]).toEqual([400, 'invalid_argument']);
      }
      expect(await app.store.count()).toBe(0);
    });
  });

  describe('limits', () => {
    it('7.1.2: reject answers 409 with the sessions to choose from, and one of them can be named at the next try', async () => {
      await start({ session: { maxSessionsPerUser: 2, onLimit: 'reject' }, device: { cookie: true } });
      const first = await signIn({ data: { secret: 'cart' } });
      app.store.advance(1000);
      const second = await signIn({ deviceName: 'Phone' }, { headers: { 'user-agent': SAFARI_ON_IPHONE } });
      const third = app.browser();
      const refused = await third.post('/login', { userId: 'ann' }, { 'user-agent': FIREFOX });
      expect(refused.status).toBe(409);
      expect(refused.setCookies).toEqual([]);
      expect(refused.body).toEqual({
        statusCode: 409,
        error: 'Conflict',
        code: 'session_limit_reached',
        message: expect.stringContaining('The limit of 2 sessions is reached'),
        sessions: [second, first].map(({ session: { id, deviceName, deviceType, createdAt, lastAccess } }) => ({
          id,
          deviceName,
          deviceType,
          createdAt,
          lastAccess,
        })),
      });
      const { id } = refused.body.sessions[1];
      const reply = await third.post('/login', { userId: 'ann', replaces: id }, { 'user-agent': FIREFOX });
      expect(reply.status).toBe(200);
      expect((await first.browser.get('/me')).body.code).toBe('session_replaced');
      expect((await second.browser.get('/me', { 'user-agent': SAFARI_ON_IPHONE })).status).toBe(200);
    });

    it('7.1.2: a session of somebody else cannot be named to end', async () => {
      await start({ session: { maxSessionsPerUser: 1, onLimit: 'reject' } });
      const { session } = await signIn({ userId: 'bob' });
      await signIn();
      const reply = await app.browser().post('/login', { userId: 'ann', replaces: session.id });
      expect(reply.status).toBe(409);
      expect(await app.store.get(session.id)).not.toBeNull();
    });

    it('signing in over one’s own cookie ends that session as well as the one that was named', async () => {
      await start();
      const [here, there] = [await signIn(), await signIn()];
      const reply = await here.browser.post('/login', { userId: 'ann', replaces: there.session.id });
      expect(reply.status).toBe(200);
      expect((await app.store.getActiveSessions('ann')).map(({ id }) => id)).toEqual([reply.body.session.id]);
    });

    it('7.1.2: per device type, told by the request', async () => {
      await start({ session: { maxSessionsPerUser: 4, maxSessionsPerDeviceType: { mobile: 1 } } });
      const laptop = await signIn();
      const phone = await signIn({}, { headers: { 'user-agent': SAFARI_ON_IPHONE } });
      app.store.advance(1000);
      const other = await signIn({}, { headers: { 'user-agent': SAFARI_ON_IPHONE } });
      expect((await phone.browser.get('/me')).body.code).toBe('session_evicted');
      expect((await laptop.browser.get('/me', HOME)).status).toBe(200);
      expect((await other.browser.get('/me', { 'user-agent': SAFARI_ON_IPHONE })).status).toBe(200);
    });

    it('7.1.2: per device type under reject, saying which limit it was', async () => {
      await start({ session: { maxSessionsPerDeviceType: { desktop: 1 }, onLimit: 'reject' } });
      await signIn();
      const refused = await app.browser().post('/login', { userId: 'ann' }, { 'user-agent': FIREFOX });
      expect(refused.status).toBe(409);
      expect(refused.body.message).toContain('The limit of 1 sessions');
      await signIn({}, { headers: { 'user-agent': SAFARI_ON_IPHONE } });
    });

    it('7.1.2: as a function of the user, who may be of a device type with a limit of its own', async () => {
      await start({
        session: {
          maxSessionsPerUser: async ({ roles }) => (roles?.includes('admin') ? 1 : 3),
          maxSessionsPerDeviceType: { desktop: 2 },
        },
      });
      for (let i = 0; i < 4; i += 1) await signIn({ userId: 'root', roles: ['admin'] });
      for (let i = 0; i < 4; i += 1) await signIn();
      expect(await app.store.getActiveSessions('root')).toHaveLength(1);
      expect(await app.store.getActiveSessions('ann')).toHaveLength(2);
    });
  });

  describe('a new device', () => {
    it('is announced where the user is signed in elsewhere: by the device, or by the client where none is named', async () => {
      await start();
      await signIn();
      await signIn({}, { headers: { 'user-agent': CHROME_UPDATED } });
      expect(heard).toEqual([]);
      const { session } = await signIn({}, { headers: { 'user-agent': FIREFOX } });
      expect(heard).toEqual([
        { type: 'new-device', sessionId: session.id, userId: 'ann', at: session.createdAt, remote: false },
      ]);
      const named = await signIn({ deviceId: 'd' });
      expect(heard.map(({ sessionId }) => sessionId)).toEqual([session.id, named.session.id]);
      await signIn({ deviceId: 'd' }, { headers: { 'user-agent': SAFARI_ON_IPHONE } });
      expect(heard).toHaveLength(2);
    });

    it('with device cookies it is another jar, of the same browser family as well; it costs no command', async () => {
      await start({ device: { cookie: true } });
      const { browser } = await signIn();
      app.store.forget();
      await signIn();
      expect(app.store.commands).toEqual(['create']);
      expect(heard).toHaveLength(1);
      await signIn({}, { browser });
      browser.jar.delete('__Host-session');
      await signIn({}, { browser });
      expect(heard).toHaveLength(1);
    });
  });
});
