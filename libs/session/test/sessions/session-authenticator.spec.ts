import type { StartedSession } from '../../src/sessions/session-service.js';
import { servicesOf, type Services } from '../support/services.js';

const MINUTE = 60_000;
/** Past the grace window of a cookie. */
const LATER = 31_000;

describe('SessionAuthenticator: a cookie that was replaced', () => {
  let services: Services;
  let started: StartedSession;

  beforeEach(async () => {
    services = await servicesOf({ session: { rotationInterval: '1m' } });
    started = await services.sessions.start({ userId: 'ada' });
  });

  const cookie = () => started.cookieToken ?? '';
  const authenticate = async (token: string, options = {}) => {
    const { cookieToken, live } = await services.authenticator.authenticate(token, options);
    await services.toucher.settle();
    return { token: cookieToken, generation: live.families.cookie?.generation };
  };
  /** Rotates, and returns the successor. */
  const rotated = async (): Promise<string> => {
    services.store.advance(MINUTE + 1);
    return (await authenticate(cookie())).token ?? '';
  };
  const isLive = async () => (await services.store.read(started.session.id)).state === 'live';

  it('is not admitted while the store cannot end its session for reuse', async () => {
    await authenticate(await rotated());
    services.store.advance(LATER);
    services.store.failing.add('rotate');
    await expect(authenticate(cookie())).rejects.toMatchObject({ code: 'store_unavailable' });
    services.store.failing.clear();
    await expect(authenticate(cookie())).rejects.toMatchObject({ code: 'session_revoked' });
    expect(await isLive()).toBe(false);
  });

  it('newer than the store remembers is not admitted while the store cannot take it over', async () => {
    const credential = services.codec.parse(cookie(), 'cookie');
    if (!credential) throw new Error('the cookie is ours');
    services.store.failing.add('rotate');
    for (const ahead of [
      { generation: 3, branch: services.store.now() + 5 },
      { generation: 0, branch: services.store.now() + 5 },
    ]) {
      const token = services.codec.format({ ...credential, ...ahead });
      await expect(authenticate(token)).rejects.toMatchObject({ code: 'store_unavailable' });
    }
    expect(await isLive()).toBe(true);
  });

  it('stays good while the store cannot write its replacement', async () => {
    services.store.advance(MINUTE + 1);
    services.store.failing.add('rotate');
    expect(await authenticate(cookie())).toEqual({ token: null, generation: 0 });
    services.store.failing.clear();
    await rotated();
    services.store.advance(LATER);
    services.store.failing.add('rotate');
    expect(await authenticate(cookie())).toEqual({ token: null, generation: 1 });
  });

  it('where no cookie can be set is accepted, and nothing changes', async () => {
    services.store.advance(MINUTE + 1);
    services.store.forget();
    expect(await authenticate(cookie(), { canSetCookie: false })).toEqual({ token: null, generation: 0 });
    expect(services.store.commands).toEqual(['read']);
    await rotated();
    services.store.forget();
    expect(await authenticate(cookie(), { canSetCookie: false })).toEqual({ token: null, generation: 1 });
    services.store.advance(LATER);
    expect(await authenticate(cookie(), { canSetCookie: false })).toEqual({ token: null, generation: 1 });
    expect(services.store.commands).toEqual(['read', 'read']);
    await authenticate((await authenticate(cookie())).token ?? '');
    services.store.advance(LATER);
    await expect(authenticate(cookie(), { canSetCookie: false })).rejects.toMatchObject({ code: 'session_revoked' });
  });

  it('written before tokens named a branch goes on, and gets a token that names one', async () => {
    const credential = services.codec.parse(cookie(), 'cookie');
    if (!credential) throw new Error('the cookie is ours');
    const earlier = services.codec.format({ ...credential, branch: null });
    expect(await authenticate(earlier)).toEqual({ token: null, generation: 0 });
    services.store.advance(MINUTE + 1);
    const { token } = await authenticate(earlier);
    services.store.advance(LATER);
    expect((await authenticate(earlier)).generation).toBe(1);
    expect(services.codec.parse(token, 'cookie')?.branch).toBeGreaterThan(credential.branch ?? 0);
  });

  it('marks its successor as in use once per instance and rotation, in the touch where one is due', async () => {
    const successor = await rotated();
    services.store.forget();
    for (let request = 0; request < 3; request += 1) await authenticate(successor);
    expect(services.store.commands.filter((command) => command === 'touch')).toHaveLength(1);
    services.store.advance(2 * MINUTE);
    const { token } = await authenticate(successor);
    services.store.advance(50_000);
    services.store.forget();
    await services.sessions.authenticate(token ?? '');
    await services.toucher.settle();
    expect(services.store.commands).toEqual(['read', 'touch']);
    expect((await services.store.read(started.session.id)) as object).toMatchObject({
      families: { cookie: { generation: 2, inUse: true } },
    });
  });

  it.each([
    ['5s', 4_000, 6_000],
    ['2m', 110_000, 121_000],
  ] as const)('counts as a repeated request for session.rotationGrace: %s', async (rotationGrace, within, past) => {
    services = await servicesOf({ session: { rotationInterval: '5m', rotationGrace } });
    started = await services.sessions.start({ userId: 'ada' });
    services.store.advance(5 * MINUTE + 1);
    const { token } = await authenticate(cookie());
    await authenticate(token ?? '');
    services.store.advance(within);
    expect(await authenticate(cookie())).toEqual({ token, generation: 1 });
    services.store.advance(past - within);
    await expect(authenticate(cookie())).rejects.toMatchObject({ code: 'session_revoked' });
    expect(await isLive()).toBe(false);
  });

  it('by a regeneration may repeat it for 30 seconds, whatever session.rotationGrace', async () => {
    services = await servicesOf({ session: { rotationInterval: '5m', rotationGrace: '1s' } });
    started = await services.sessions.start({ userId: 'ada' });
    const { presented } = await services.authenticator.authenticate(cookie());
    await services.sessions.stepUp(started.session.id, presented ? { presented } : {});
    services.store.advance(29_000);
    expect(await services.authenticator.authenticate(cookie())).toMatchObject({ superseded: true });
    services.store.advance(2_000);
    await expect(services.authenticator.authenticate(cookie())).rejects.toMatchObject({ code: 'invalid_token' });
  });

  it('under after-grace is marked by no write', async () => {
    services = await servicesOf({ session: { rotationInterval: '1m' }, reuseDetection: 'after-grace' });
    started = await services.sessions.start({ userId: 'ada' });
    const successor = await rotated();
    services.store.forget();
    await authenticate(successor);
    expect(services.store.commands).toEqual(['read']);
  });

  it('of several credentials of one session the newest is found, by generation and then by branch', async () => {
    const credential = services.codec.parse(await rotated(), 'cookie');
    if (!credential?.branch) throw new Error('the cookie is ours and names its branch');
    const newest = { ...credential, branch: credential.branch + 5 };
    const others = [{ ...credential, generation: 0, branch: credential.branch + 9 }, credential];
    for (const order of [[newest, ...others], [...others, newest], [...others, newest].reverse()]) {
      expect(await services.authenticator.findLiving(order)).toEqual([newest]);
    }
    await services.sessions.end(started.session.id);
    expect(await services.authenticator.findLiving([newest, ...others])).toEqual([]);
  });

  it('a mark that fails fails no request, and is tried again', async () => {
    const successor = await rotated();
    services.store.failing.add('touch');
    expect((await authenticate(successor)).generation).toBe(1);
    services.store.failing.clear();
    services.store.forget();
    await authenticate(successor);
    expect(services.store.commands).toEqual(['read', 'touch']);
  });
});

describe('access tokens of the same millisecond as a regeneration', () => {
  it('issued before it are dead, issued with it are good', async () => {
    const { store, sessions, tokens } = await servicesOf({
      jwt: { issuer: 'https://issuer.example', audience: 'api' },
    });
    const { session } = await sessions.start({ userId: 'ada' }, { credentials: ['refresh'] });
    const before = tokens.issue(session);
    const { live } = await sessions.regenerate(session.id);
    expect(live.tokensFrom).toBe(live.now + 1);
    expect(live.now).toBe(session.createdAt);
    await expect(tokens.verify(before.accessToken)).rejects.toMatchObject({ code: 'session_revoked' });
    expect((await tokens.verify(tokens.issueFor(live).accessToken)).live.session.id).toBe(session.id);
    expect(store.now()).toBe(session.createdAt);
  });
});
