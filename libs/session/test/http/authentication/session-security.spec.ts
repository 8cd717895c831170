import type { IncomingMessage } from 'node:http';
import { Controller, Get, Req } from '@nestjs/common';
import {
  explainSessionSecurity,
  generateFingerprint,
  SessionService,
  validateSessionSecurity,
  type RequestLike,
  type Session,
} from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp } from '../../support/app.js';
import { CHROME, CHROME_UPDATED, FIREFOX, SAFARI_ON_IPHONE } from '../../support/clients.js';
import { SecurityController } from '../../support/security.controller.js';
import { secretOf } from '../../support/secrets.js';

const SECRET = secretOf('s');
const request = (userAgent: string, ip = '203.0.113.7'): RequestLike => ({ headers: { 'user-agent': userAgent }, ip });

afterEach(closeApps);

describe('checks by hand, on plain objects', () => {
  const session = (request: RequestLike, more: Partial<Session> = {}): Partial<Session> => ({
    metadata: { fingerprint: generateFingerprint(request), ip: request.ip ?? '' },
    lastAccess: 1_000,
    idleTimeout: 500,
    expiresAt: 2_000,
    ...more,
  });
  const now = 1_200;

  it('a fingerprint is the same after an update, in another network, and with headers in any order, case and form', () => {
    const expected = generateFingerprint(request(CHROME));
    for (const same of [
      request(CHROME_UPDATED, '::1'),
      { headers: { accept: '*/*', 'User-Agent': CHROME, host: 'x' } },
      { headers: { 'USER-AGENT': CHROME, 'Sec-CH-UA-Platform': '"macOS"' } },
      { headers: new Headers({ 'user-agent': CHROME }) },
      { headers: { 'user-agent': [CHROME, FIREFOX] } },
    ]) {
      expect(generateFingerprint(same)).toBe(expected);
    }
    for (const other of [request(FIREFOX), request(SAFARI_ON_IPHONE), request(''), { headers: {} }]) {
      expect(generateFingerprint(other)).not.toBe(expected);
    }
  });

  it('outside an application the key is of this process, unless secrets are given', () => {
    const own = generateFingerprint(request(CHROME));
    const keyed = generateFingerprint(request(CHROME), { secrets: SECRET });
    expect(own).not.toBe(keyed);
    expect(generateFingerprint(request(CHROME), { secrets: [SECRET, secretOf('t')] })).toBe(keyed);
    expect(() => generateFingerprint(request(CHROME), { secrets: 'short' })).toThrow('secrets');
  });

  it('nothing speaks against the same client in time', async () => {
    const same = session(request(CHROME));
    expect(await validateSessionSecurity(request(CHROME_UPDATED, '198.51.100.1'), same, { now })).toBe(true);
    expect(await explainSessionSecurity(request(CHROME), same, { now })).toEqual([]);
  });

  it('gives every reason', async () => {
    const of = session(request(CHROME));
    const explain = (request_: RequestLike, options: object) =>
      explainSessionSecurity(request_, of, { now, ...options });
    expect(await explain(request(FIREFOX), {})).toEqual(['fingerprint']);
    expect(await explain(request(FIREFOX), { useFingerprint: false })).toEqual([]);
    expect(await explain(request(FIREFOX), { useFingerprint: 'off' })).toEqual([]);
    expect(await explain(request(CHROME, '198.51.100.1'), { bindToIP: true })).toEqual(['ip']);
    expect(await explain(request(CHROME, '198.51.100.1'), { bindToIP: 'log' })).toEqual(['ip']);
    expect(await explain(request(CHROME, '::ffff:203.0.113.7'), { bindToIP: true })).toEqual([]);
    expect(await explain(request(CHROME, '203.0.113.99'), { bindToIP: true, ipPrivacy: 'truncated' })).toEqual([]);
    expect(await explain(request(CHROME), { now: 1_500 })).toEqual(['idle']);
    expect(await explain(request(CHROME), { now: 1_499 })).toEqual([]);
    const used = { ...of, lastAccess: 1_900 };
    expect(await explainSessionSecurity(request(CHROME), used, { now: 2_000 })).toEqual(['absolute']);
    expect(await explain(request(FIREFOX, '::1'), { bindToIP: true, now: 9_999 })).toEqual([
      'fingerprint',
      'ip',
      'idle',
    ]);
    expect(await validateSessionSecurity(request(FIREFOX), of, { now })).toBe(false);
  });

  it.each([
    ['nothing', {}],
    ['no metadata', { lastAccess: Date.now(), expiresAt: Date.now() + 1_000 }],
    ['metadata of something else', { metadata: { fingerprint: 'x', ip: 'y' } }],
  ])('what cannot be compared is no reason: a session with %s', async (_, session_) => {
    expect(await explainSessionSecurity(request(FIREFOX), session_, { bindToIP: true })).toEqual([]);
  });

  it('hostile requests are answered, and nothing is thrown', async () => {
    const of = session(request(CHROME));
    for (const hostile of [
      { headers: {} },
      { headers: { 'user-agent': 'x'.repeat(1e6) }, ip: 'x'.repeat(1e6) },
      { headers: { 'user-agent': '\r\n\u0000' }, ip: '1.2.3.4\r\n' },
      {
        headers: Object.assign(Object.create(null) as object, { 'user-agent': FIREFOX }),
        app: {},
        server: null,
        socket: 5,
      },
      { headers: { 'user-agent': 5 as unknown as string }, raw: {} },
    ]) {
      expect(await explainSessionSecurity(hostile, of, { now, bindToIP: true })).toEqual(['fingerprint']);
    }
  });
});

@Controller('raw')
class RawController {
  @Get()
  raw(@Req() request_: { raw?: IncomingMessage } & IncomingMessage): unknown {
    return { fingerprint: generateFingerprint(request_.raw ?? request_) };
  }
}

describe.each(PLATFORMS)('checks by hand, in an application on %s', (platform) => {
  const controllers = [AccountController, SecurityController, RawController];

  it('take keys, options and time from the module of the request’s application', async () => {
    const [one, two] = [
      await startApp({
        platform,
        controllers,
        session: { secrets: SECRET, security: { useFingerprint: 'log', bindToIP: 'log' } },
        trustProxy: true,
      }),
      await startApp({
        platform,
        controllers,
        session: { secrets: secretOf('t'), security: { useFingerprint: false } },
      }),
    ];
    const headers = { 'user-agent': CHROME, 'x-forwarded-for': '203.0.113.7' };
    const { session } = (await one.browser().post('/login', { userId: 'ann' }, headers)).body;
    const explain = async (app: typeof one, more: Record<string, string>) =>
      (await app.browser().post('/explain', session, { ...headers, ...more })).body;
    expect(await explain(one, {})).toEqual({ fingerprint: session.metadata.fingerprint, valid: true, reasons: [] });
    expect(session.metadata.fingerprint).toBe(generateFingerprint({ headers }, { secrets: SECRET }));
    expect(await explain(one, { 'user-agent': FIREFOX })).toMatchObject({ valid: false, reasons: ['fingerprint'] });
    expect(await explain(one, { 'x-forwarded-for': '::1' })).toMatchObject({ valid: false, reasons: ['ip'] });
    one.store.advance(session.idleTimeout);
    expect(await explain(one, {})).toMatchObject({ valid: false, reasons: ['idle'] });

    // The other application has its own key, and both signals off.
    const elsewhere = await explain(two, { 'user-agent': FIREFOX });
    expect(elsewhere).toMatchObject({ valid: true, reasons: [] });
    expect(elsewhere.fingerprint).not.toBe(session.metadata.fingerprint);
  });

  it('find the application by Node’s own request as well, as middleware has it', async () => {
    const app = await startApp({ platform, controllers, session: { secrets: SECRET } });
    const { body } = await app.browser().get('/raw', { 'user-agent': CHROME });
    expect(body.fingerprint).toBe(generateFingerprint({ headers: { 'user-agent': CHROME } }, { secrets: SECRET }));
  });

  it('a session of createDeviceSession that names its fingerprint is checked like any other', async () => {
    const app = await startApp({
      platform,
      controllers,
      session: { secrets: SECRET, security: { useFingerprint: 'log' } },
    });
    const fingerprint = generateFingerprint({ headers: { 'user-agent': CHROME } }, { secrets: SECRET });
    const { session } = await app.app.get(SessionService).start({ userId: 'ann', metadata: { fingerprint } });
    const { body } = await app.browser().post('/explain', session, { 'user-agent': FIREFOX });
    expect(body.reasons).toEqual(['fingerprint']);
  });
});
