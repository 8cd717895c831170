import { jest } from '@jest/globals';
import { loadJwtSigners } from '../../src/core/load-jwt-signers.js';
import { CredentialCodec } from '../../src/model/credential.js';
import { newSessionId, userKeyOf } from '../../src/model/ids.js';
import type { UseAfterEndEvent } from '../../src/model/events.js';
import { resolveSessionOptions } from '../../src/options/resolve-options.js';
import { EndedSessionUses } from '../../src/events/ended-session-uses.js';
import { SessionAuthenticator } from '../../src/sessions/session-authenticator.js';
import { SessionEvents } from '../../src/events/session-events.js';
import { SessionService } from '../../src/sessions/session-service.js';
import { SessionToucher } from '../../src/sessions/session-toucher.js';
import { TokenService } from '../../src/tokens/token-service.js';
import { CountingStore } from '../support/counting-store.js';

const createSigner = await loadJwtSigners();

describe('a token that comes back after its session ended', () => {
  const options = resolveSessionOptions({ jwt: { issuer: 'https://issuer.example', audience: 'api' } });
  let store: CountingStore;
  let sessions: SessionService;
  let tokens: TokenService;
  let heard: UseAfterEndEvent[];

  beforeEach(() => {
    store = new CountingStore();
    const events = new SessionEvents(store);
    const uses = new EndedSessionUses(events, store);
    const codec = new CredentialCodec(options.keys.credential);
    const authenticator = new SessionAuthenticator(store, codec, options, uses);
    sessions = new SessionService(store, codec, authenticator, new SessionToucher(store, options), options);
    tokens = new TokenService(store, codec, options, createSigner, uses);
    heard = [];
    events.on('use-after-end', (event) => heard.push(event));
  });
  afterEach(() => jest.restoreAllMocks());

  async function start(userId = 'ada') {
    const {
      session,
      cookieToken = '',
      refreshToken = '',
    } = await sessions.start({ userId }, { credentials: ['cookie', 'refresh'] });
    return { id: session.id, cookieToken, refreshToken, accessToken: tokens.issue(session).accessToken };
  }
  type Started = Awaited<ReturnType<typeof start>>;

  const uses: Record<string, (held: Started) => Promise<unknown>> = {
    cookie: ({ cookieToken }) => sessions.authenticate(cookieToken),
    'access token': ({ accessToken }) => tokens.verify(accessToken),
    'refresh token': ({ refreshToken }) => tokens.refresh(refreshToken),
  };

  it.each(Object.keys(uses))('is announced with its user and the reason: %s', async (name) => {
    const held = await start();
    await store.destroy(held.id, { reason: 'admin' });
    await expect(uses[name]?.(held)).rejects.toMatchObject({ code: 'session_revoked' });
    expect(heard).toEqual([
      { type: 'use-after-end', at: store.now(), sessionId: held.id, userId: 'ada', reason: 'admin', remote: false },
    ]);
  });

  it('is announced past the deadline as well, swept or not', async () => {
    const [first, second] = [await start(), await start('bob')];
    store.advance(31 * 60_000);
    await expect(sessions.authenticate(first.cookieToken)).rejects.toMatchObject({ code: 'session_expired' });
    await store.sweep();
    await expect(sessions.authenticate(second.cookieToken)).rejects.toMatchObject({ code: 'session_expired' });
    expect(heard.map(({ reason, userId }) => [userId, reason])).toEqual([
      ['ada', 'idle'],
      ['bob', 'idle'],
    ]);
  });

  it('is announced once a minute, however often it comes', async () => {
    const held = await start();
    await store.destroy(held.id);
    const again = async (): Promise<void> => {
      for (const use of Object.values(uses)) await use(held).catch(() => undefined);
    };
    for (let times = 0; times < 5; times += 1) await again();
    expect(heard).toHaveLength(1);
    // The cache looks at the clock once a millisecond.
    await new Promise((resolve) => setTimeout(resolve, 10));
    const clock = jest.spyOn(performance, 'now').mockReturnValue(performance.now() + 61_000);
    await again();
    clock.mockRestore();
    expect(heard).toHaveLength(2);
  });

  it('is not announced for what we never signed, nor for a session that lives or never was', async () => {
    const held = await start();
    await sessions.authenticate(held.cookieToken);
    const [type = '', secret, n] = held.cookieToken.split('.');
    await store.destroy(held.id);
    for (const forged of [`${type}.${secret}.${n}.forged`, 'nonsense', '']) {
      await expect(sessions.authenticate(forged)).rejects.toMatchObject({ code: 'invalid_token' });
    }
    expect(heard).toEqual([]);
  });

  it('is not announced where the store no longer knows the session: nothing says whose it was', async () => {
    const { cookieToken } = await start();
    const [, secret = ''] = cookieToken.split('.');
    const codec = new CredentialCodec(options.keys.credential);
    const sessionId = newSessionId(userKeyOf('ada'));
    const of = (kind: 'cookie' | 'refresh') =>
      codec.format({ kind, sessionId, secret, generation: 0, branch: store.now() });
    await expect(sessions.authenticate(of('cookie'))).rejects.toMatchObject({ code: 'invalid_token' });
    await expect(tokens.refresh(of('refresh'))).rejects.toMatchObject({ code: 'invalid_token' });
    expect(heard).toEqual([]);
  });
});
