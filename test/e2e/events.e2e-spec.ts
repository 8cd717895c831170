import { setTimeout as sleep } from 'node:timers/promises';
import { type EndReason, type SessionErrorCode, SessionService, SessionStreams } from 'nestjs-sessions';
import { EventSourceClient } from '../../libs/session/test/http/streams/support/event-source.js';
import { ADMIN, type Browser, type Reply, USER } from './support/browser.js';
import { logs, randomPrefix, redisUrl, Sample, SECRET, STACKS } from './support/sample.js';

/** A client that holds everything a session has. */
interface Holder {
  readonly browser: Browser;
  readonly id: string;
  readonly accessToken: string;
  readonly refreshToken: string;
}

interface Way {
  readonly reason: EndReason;
  readonly code: SessionErrorCode;
  readonly how: string;
  readonly env?: Record<string, string>;
  readonly end: (sample: Sample, holder: Holder) => Promise<unknown>;
}

/** How a session of the sample comes to each of its ends. */
const WAYS: readonly Way[] = [
  {
    reason: 'logout',
    code: 'session_ended',
    how: 'signing out elsewhere',
    end: (_, { browser }) => browser.copy().post('/auth/logout'),
  },
  {
    reason: 'evicted',
    code: 'session_evicted',
    how: 'signing in on five more devices',
    end: async (sample) => {
      for (let device = 0; device < 5; device += 1) await sample.browser().signedIn();
    },
  },
  {
    reason: 'replaced',
    code: 'session_replaced',
    how: 'signing in again on the same device',
    end: (sample) => sample.browser().signedIn(USER, { deviceId: 'one' }),
  },
  {
    reason: 'revoked',
    code: 'session_revoked',
    how: 'ending it from another device',
    end: async (sample, { id }) => {
      const other = sample.browser();
      await other.signedIn();
      expect((await other.delete(`/sessions/${id}`)).status).toBe(204);
    },
  },
  {
    reason: 'admin',
    code: 'session_revoked',
    how: 'an administrator',
    end: async (sample) => {
      const admin = sample.browser();
      await admin.signedIn(ADMIN);
      await admin.delete('/admin/users/u-1001/sessions');
    },
  },
  {
    reason: 'reuse',
    code: 'session_revoked',
    how: 'a refresh token that comes back',
    env: { REFRESH_GRACE: '1ms' },
    end: async (sample, { refreshToken }) => {
      const next = await sample.browser().post('/auth/refresh', { refreshToken });
      await sleep(5);
      await sample.browser().post('/auth/refresh', { refreshToken: next.body.refreshToken });
      expect((await sample.browser().post('/auth/refresh', { refreshToken })).status).toBe(401);
    },
  },
  {
    reason: 'hijack',
    code: 'session_revoked',
    how: 'a policy',
    end: (sample, { id }) => sample.get(SessionService).end(id, { reason: 'hijack' }),
  },
  {
    reason: 'idle',
    code: 'session_expired',
    how: 'doing nothing',
    env: { IDLE_TIMEOUT: '1s' },
    end: () => sleep(1_100),
  },
  {
    reason: 'absolute',
    code: 'session_expired',
    how: 'its end',
    env: { ABSOLUTE_TIMEOUT: '1s' },
    end: () => sleep(1_100),
  },
];

describe.each(STACKS)('what a client learns of an end, on $adapter with sessions in $store', ({ adapter, store }) => {
  let sample: Sample | undefined;
  afterEach(() => sample?.close());

  it.each(WAYS)(
    '$reason, by $how: $code for cookie, access token and refresh token',
    async ({ code, reason, env = {}, end }) => {
      sample = await Sample.start({ adapter, store, env });
      const browser = sample.browser();
      const { body } = await browser.signIn(USER, { deviceId: 'one' });
      const holder: Holder = {
        browser,
        id: body.session.id,
        accessToken: body.accessToken,
        refreshToken: body.refreshToken,
      };
      await end(sample, holder);
      const before = logs.length;
      const replies: Reply[] = [
        await browser.get('/me'),
        await sample.browser().get('/me', { headers: { authorization: `Bearer ${holder.accessToken}` } }),
        await sample.browser().post('/auth/refresh', { refreshToken: holder.refreshToken }),
      ];
      // An access token never outlives its session's absolute end: past it the token itself has expired.
      const codes = [code, reason === 'absolute' ? 'invalid_token' : code, code];
      expect(replies.map(({ status, body: answer }) => [status, answer.code])).toEqual(
        codes.map((each) => [401, each]),
      );
      for (const { body: answer } of replies) expect(answer.message).toContain('Sign in again');
      // The token that comes back is noted, once for all three.
      const lines = logs.slice(before).filter((line) => line.includes('session_use_after_expire'));
      expect(lines.length).toBeLessThanOrEqual(1);
      for (const line of lines) expect(line).toContain(`"reason":"${reason}"`);
    },
  );
});

describe.each(STACKS)('events of the sample on $adapter with sessions in $store', ({ adapter, store }) => {
  let sample: Sample;
  beforeEach(async () => {
    sample = await Sample.start({ adapter, store });
  });
  afterEach(() => sample.close());

  const cookieOf = (browser: Browser): Record<string, string> => ({
    cookie: [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; '),
  });

  it('GET /events tells the page at once that it was signed out, and why', async () => {
    const [browser, other] = [sample.browser(), sample.browser()];
    const { id } = await browser.signedIn();
    await other.signedIn();
    expect((await sample.browser().get('/events')).status).toBe(401);
    const stream = await EventSourceClient.open(`${sample.url}/events`, cookieOf(browser));
    expect(stream.status).toBe(200);
    await other.delete(`/sessions/${id}`);
    await until(() => stream.ended);
    expect(stream.types).toEqual(['ended revoked']);
    expect(sample.get(SessionStreams).size).toBe(0);
  });

  it('GET /events works by access token as well', async () => {
    const { body } = await sample.browser().signIn();
    const stream = await EventSourceClient.open(`${sample.url}/events`, {
      authorization: `Bearer ${body.accessToken}`,
    });
    expect(stream.status).toBe(200);
    await sample.get(SessionService).end(body.session.id, { reason: 'admin' });
    await until(() => stream.ended);
    expect(stream.types).toEqual(['ended admin']);
  });

  it('GET /sessions/history shows what happened to one’s own sessions, and nothing that lets anyone in', async () => {
    const [laptop, phone, admin] = [sample.browser(), sample.browser(), sample.browser()];
    await admin.signedIn(ADMIN);
    const { id } = await phone.signedIn(USER, { deviceId: 'phone', deviceName: 'My phone' });
    await laptop.signedIn(USER, { deviceId: 'laptop', deviceName: 'My laptop' });
    await laptop.post('/auth/step-up', { password: USER.password });
    await laptop.delete('/devices/phone');
    let reply: Reply | undefined;
    await until(async () => (reply = await laptop.get('/sessions/history')).body.length >= 4);
    const rows = reply?.body as {
      type: string;
      reason: string | null;
      deviceName: string;
      ip: string;
      current: boolean;
      sessionId: string;
      at: number;
    }[];
    expect(rows.map(({ at }) => at)).toEqual(rows.map(({ at }) => at).sort((a, b) => b - a));
    const told = rows.map(({ type, reason, deviceName, current }) => [type, reason, deviceName, current]);
    expect(told).toEqual(
      expect.arrayContaining([
        ['ended', 'revoked', 'My phone', false],
        ['regenerated', null, 'My laptop', true],
        ['created', null, 'My laptop', true],
        ['created', null, 'My phone', false],
      ]),
    );
    expect(rows.find(({ type }) => type === 'ended')?.sessionId).toBe(id);
    expect(new Set(rows.map(({ ip }) => ip))).toEqual(new Set(['127.0.0.1']));
    expect(reply?.text).not.toContain('admin@example.com');
    expect((await sample.browser().get('/sessions/history')).status).toBe(401);
  });

  it('GET /metrics is what Prometheus reads, and counts what happened', async () => {
    const browser = sample.browser();
    await browser.signedIn();
    await browser.get('/me');
    await sample.browser().get('/me');
    await browser.post('/auth/logout');
    await sleep(20);
    const { status, headers, text } = await sample.browser().get('/metrics');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^text\/plain; *version=0\.0\.4/);
    const value = (name: string, labels = ''): number =>
      Number(new RegExp(`^${name}\\{${labels}[^}]*\\} (\\S+)$`, 'm').exec(text)?.[1]);
    expect(value('nestjs_sessions_created_total')).toBe(1);
    expect(value('nestjs_sessions_ended_total', 'reason="logout"')).toBe(1);
    expect(value('nestjs_sessions_active')).toBe(0);
    expect(value('nestjs_sessions_requests_total', 'outcome="none"')).toBe(1);
    expect(value('nestjs_sessions_requests_total', 'outcome="authenticated"')).toBeGreaterThanOrEqual(1);
    expect(value('nestjs_sessions_store_duration_count', 'operation="create"')).toBe(1);
    expect(text).not.toContain('u-1001');
  });

  it('16.3.1: logs a sign-in, the session that it starts, and the sign-out, each one line of JSON', async () => {
    const before = logs.length;
    const browser = sample.browser();
    const { id } = await browser.signedIn();
    await browser.post('/auth/logout');
    await sleep(50);
    const lines = logs.slice(before).filter((line) => line.includes(id));
    const events = lines.map(
      (line) => (JSON.parse(line.slice(line.indexOf('{'), line.lastIndexOf('}') + 1)) as { event: string }).event,
    );
    // What the store announces and what the instance finds by itself may change places.
    expect(events.sort()).toEqual(['authn_login_success', 'session_created', 'session_logout']);
  });
});

describe('two instances on one Redis', () => {
  it('GET /events on either tells of an end at the other, and only one of them logs it and writes it down', async () => {
    const env = { REDIS_URL: redisUrl(), SESSION_SECRET: SECRET, KEY_PREFIX: randomPrefix() };
    const [here, there] = [
      await Sample.start({ adapter: 'express', env }),
      await Sample.start({ adapter: 'fastify', env }),
    ];
    try {
      const browser = here.browser();
      const { id } = await browser.signedIn();
      const cookie = { cookie: `session=${browser.token}` };
      const streams = [
        await EventSourceClient.open(`${here.url}/events`, cookie),
        await EventSourceClient.open(`${there.url}/events`, cookie),
      ];
      const before = logs.length;
      await there.get(SessionService).end(id, { reason: 'admin' });
      await until(() => streams.every(({ ended }) => ended));
      expect(streams.map(({ types }) => types)).toEqual([['ended admin'], ['ended admin']]);
      await sleep(50);
      expect(logs.slice(before).filter((line) => line.includes('session_expired'))).toHaveLength(1);
      await browser.signedIn();
      const history = (await browser.get('/sessions/history')).body as { type: string }[];
      expect(history.filter(({ type }) => type === 'ended')).toHaveLength(1);
    } finally {
      await here.close();
      await there.close();
    }
  });
});

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const giveUp = performance.now() + 20_000;
  while (!(await isSo())) {
    if (performance.now() > giveUp) throw new Error(`still not so: ${isSo.toString()}`);
    await sleep(5);
  }
}
