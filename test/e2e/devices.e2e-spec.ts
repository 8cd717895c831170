import { connect } from 'node:net';
import { SessionEvents, SessionStore } from 'nestjs-sessions';
import type { HijackSuspectedEvent, NewDeviceEvent } from 'nestjs-sessions/store';
import { REAL_BROWSERS } from '../../libs/session/test/support/user-agents.js';
import { ADMIN, type Browser, USER } from './support/browser.js';
import { Sample, type SampleSettings, STACKS } from './support/sample.js';

const CHROME = REAL_BROWSERS[0]?.versions[0] ?? '';
const FIREFOX = REAL_BROWSERS.find(({ name }) => name === 'Firefox on Windows')?.versions[0] ?? '';

describe.each(STACKS)('devices and clients, $adapter on $store', (stack) => {
  let sample: Sample;
  const start = async (settings: SampleSettings = {}): Promise<void> => {
    sample = await Sample.start({ ...stack, ...settings });
  };
  const withSecurity = (security: object): SampleSettings => ({
    options: (options) => ({ ...options, security, session: { ...options.session, maxSessionsPerUser: 100 } }),
  });
  const statusOf = async (browser: Browser, headers: Record<string, string> = {}): Promise<number> =>
    (await browser.get('/me', { headers })).status;

  afterEach(() => sample.close());

  it('the list names the device where nobody gave it a name', async () => {
    await start();
    const [laptop, phone] = [sample.browser({ 'user-agent': CHROME }), sample.browser({ 'user-agent': FIREFOX })];
    await laptop.signedIn();
    await phone.signedIn(USER, { deviceId: 'phone-1' });
    const sessions: Record<string, unknown>[] = (await laptop.get('/sessions')).body;
    for (const { deviceId } of sessions) expect(typeof deviceId).toBe('string');
    expect(sessions.map(({ deviceName, deviceType }) => [deviceName, deviceType]).sort()).toEqual([
      ['Chrome on Windows', 'desktop'],
      ['Firefox on Windows', 'desktop'],
    ]);
  });

  it('7.4.1: a browser’s own device is ended like a named one, and only by its user', async () => {
    await start();
    const [one, two, admin] = [sample.browser(), sample.browser(), sample.browser()];
    const { deviceId } = await one.signedIn();
    await two.signedIn();
    await admin.signedIn(ADMIN);
    expect((await admin.delete(`/devices/${String(deviceId)}`)).status).toBe(404);
    expect((await two.delete(`/devices/${String(deviceId)}`)).status).toBe(204);
    expect([await statusOf(one), await statusOf(two), await statusOf(admin)]).toEqual([401, 200, 200]);
  });

  it('two jars are two devices; one jar that signs in again replaces its own session', async () => {
    await start();
    const heard: NewDeviceEvent[] = [];
    sample.get(SessionEvents).on('new-device', (event) => heard.push(event));
    const [one, two] = [sample.browser(), sample.browser()];
    const first = await one.signedIn();
    const second = await two.signedIn();
    one.cookies.delete('session');
    const again = await one.signedIn();
    expect(second.deviceId).not.toBe(first.deviceId);
    expect(again.deviceId).toBe(first.deviceId);
    expect(await sample.get(SessionStore).count()).toBe(2);
    const deadline = Date.now() + 20_000;
    while (heard.length === 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(heard.map(({ sessionId }) => sessionId)).toEqual([second.id]);
  });

  it('7.1.2: at the limit under reject the answer lists what to choose from, and the choice makes room', async () => {
    await start({
      options: (options) => ({ ...options, session: { maxSessionsPerUser: 2, onLimit: 'reject' } }),
    });
    const [one, two, three] = [sample.browser(), sample.browser(), sample.browser()];
    const [first, second] = [await one.signedIn(USER, { deviceName: 'Desk' }), await two.signedIn()];
    const { status, body, text } = await three.signIn();
    expect([status, body.code]).toEqual([409, 'session_limit_reached']);
    const choices: { id: string }[] = body.sessions;
    expect(choices.map(({ id }) => id).sort()).toEqual([first.id, second.id].sort());
    expect(Object.keys(choices[0] ?? {}).sort()).toEqual(['createdAt', 'deviceName', 'deviceType', 'id', 'lastAccess']);
    for (const { token } of [one, two]) expect(text).not.toContain(token.split('.')[1]);
    expect((await three.signIn(USER, { replaces: first.id })).status).toBe(200);
    expect([await statusOf(one), await statusOf(two), await statusOf(three)]).toEqual([401, 200, 200]);
  });

  it('of thirty real browsers each keeps its session through its updates, and none can use another’s', async () => {
    await start(withSecurity({ useFingerprint: 'reject' }));
    const jar = sample.browser();
    await jar.send('POST', '/auth/login', { body: USER, headers: { 'user-agent': CHROME } });
    const results: [string, number][] = [];
    const expected: [string, number][] = [];
    for (const { name, type, versions } of REAL_BROWSERS) {
      const isChrome = name === 'Chrome on Windows' && type === 'desktop';
      for (const version of versions) {
        results.push([version, await statusOf(jar, { 'user-agent': version })]);
        expected.push([version, isChrome ? 200 : 401]);
      }
      const own = sample.browser();
      await own.send('POST', '/auth/login', { body: USER, headers: { 'user-agent': versions[0] } });
      for (const version of versions.slice(1)) {
        results.push([version, await statusOf(own, { 'user-agent': version })]);
        expected.push([version, 200]);
      }
    }
    expect(results).toEqual(expected);
  }, 60_000);

  it('7.2.4, 7.5.1: another client is let in after the password was proved again, under a new token', async () => {
    await start(withSecurity({ useFingerprint: 'step-up' }));
    const heard: HijackSuspectedEvent[] = [];
    sample.get(SessionEvents).on('hijack-suspected', (event) => heard.push(event));
    const browser = sample.browser();
    await browser.send('POST', '/auth/login', { body: USER, headers: { 'user-agent': CHROME } });
    const old = browser.copy();
    const headers = { 'user-agent': FIREFOX };
    const refused = await browser.get('/me', { headers });
    expect([refused.status, refused.body.code]).toEqual([403, 'step_up_required']);
    expect(heard.map(({ signals, action }) => [signals, action])).toEqual([[['fingerprint'], 'step-up']]);
    const wrong = await browser.post('/auth/step-up', { password: 'wrong' }, { headers });
    expect(wrong.status).toBe(401);
    const right = await browser.post('/auth/step-up', { password: USER.password }, { headers });
    expect(right.status).toBe(200);
    expect(right.body.session.deviceName).toBe('Firefox on Windows');
    expect([await statusOf(browser, headers), await statusOf(old, headers)]).toEqual([200, 401]);
  });

  it('end: the session is over for anyone who holds it', async () => {
    await start(withSecurity({ useFingerprint: 'end' }));
    const browser = sample.browser();
    await browser.send('POST', '/auth/login', { body: USER, headers: { 'user-agent': CHROME } });
    expect((await browser.get('/me', { headers: { 'user-agent': FIREFOX } })).body.code).toBe('session_revoked');
    expect((await browser.get('/me', { headers: { 'user-agent': CHROME } })).body.code).toBe('session_revoked');
  });

  it('4.1.3: spoofed addresses change nothing: the sample trusts no proxy', async () => {
    await start(withSecurity({ bindToIP: 'reject' }));
    const browser = sample.browser();
    const spoofed = { 'x-forwarded-for': '203.0.113.9', 'x-real-ip': '203.0.113.9', forwarded: 'for=203.0.113.9' };
    const { ip } = (await browser.send('POST', '/auth/login', { body: USER, headers: spoofed })).body.session;
    expect(ip).toBe('127.0.0.1');
    expect(await statusOf(browser)).toBe(200);
    expect(await statusOf(browser, { ...spoofed, 'x-forwarded-for': '::1, 10.0.0.1' })).toBe(200);
  });

  it.each(['a:b', '*', '{}', '{user}', '%2e%2e', '__proto__', '🦊', 'ä'.repeat(128)])(
    'device id %j is a device of one user',
    async (deviceId) => {
      await start();
      const [mine, theirs] = [sample.browser(), sample.browser()];
      await mine.signedIn(USER, { deviceId });
      await theirs.signedIn(ADMIN, { deviceId });
      const caller = sample.browser();
      await caller.signedIn();
      expect((await caller.delete(`/devices/${encodeURIComponent(deviceId)}`)).status).toBe(204);
      expect([await statusOf(mine), await statusOf(theirs), await statusOf(caller)]).toEqual([401, 200, 200]);
    },
  );

  it.each([
    ['a line break', 'a\nb'],
    ['NUL', 'a\u0000b'],
    ['10 kB', 'x'.repeat(10_240)],
    ['nothing', ''],
    ['a lone surrogate', '\ud800'],
  ])('%s in a device id is 400, and starts nothing', async (_, deviceId) => {
    await start();
    expect((await sample.browser().signIn(USER, { deviceId })).status).toBe(400);
    expect((await sample.browser().signIn(USER, { replaces: deviceId })).status).toBe(400);
    expect(await sample.get(SessionStore).count()).toBe(0);
  });

  it.each([
    ['10 kB', 'x'.repeat(10_000)],
    ['emoji', '😀'.repeat(100)],
    ['markup', '<img src=x onerror=alert(1)>/1.0'],
    ['controls', '\u0085\u009b31m\tChrome'],
    ['nothing', ''],
  ])('a hostile user agent, %s, stops no sign-in and stays short and plain', async (_, userAgent) => {
    await start();
    const headers = { 'user-agent': Buffer.from(userAgent).toString('latin1') };
    const browser = sample.browser();
    expect((await browser.send('POST', '/auth/login', { body: USER, headers })).status).toBe(200);
    const [session] = (await browser.get('/sessions', { headers })).body;
    expect(session.deviceName ?? '').toMatch(/^[\w .()+-]{0,90}$/);
  });

  it('a user agent with a line break in it is none: the request ends there', async () => {
    await start();
    const body = JSON.stringify(USER);
    const text = `POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\nUser-Agent: a\nX-Forwarded-For: 203.0.113.9\r\n\r\n${body}`;
    const answer = await raw(sample.url, text);
    expect(answer).toMatch(/^HTTP\/1\.1 [24]0\d /);
    for (const { metadata } of await sample.get(SessionStore).getActiveSessions('u-1001')) {
      expect(metadata?.userAgent ?? '').not.toMatch(/\p{Cc}/u);
      expect(metadata?.ip).toBe('127.0.0.1');
    }
  });
});

/** What the server answers to these bytes. */
function raw(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(text));
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}
