import { servicesOf } from '../support/services.js';

const jwt = { issuer: 'https://issuer.example', audience: 'api' };
const MINUTE = 60_000;

describe('TokenService', () => {
  it('issues no access token that outlives its session: other verifiers know nothing but `exp`', async () => {
    const { sessions, tokens, store } = await servicesOf({ jwt, session: { absoluteTimeout: '20m' } });
    const { session } = await sessions.start({ userId: 'ada' });
    const lifetime = async (): Promise<number> => {
      const live = await store.read(session.id);
      if (live.state !== 'live') throw new Error('the session lives');
      const { accessToken, expiresIn } = tokens.issueFor(live);
      const { exp, iat } = tokens.verifySignature(accessToken);
      expect(exp * 1000).toBeLessThanOrEqual(session.expiresAt);
      expect(exp - iat).toBe(expiresIn);
      return expiresIn;
    };
    expect(await lifetime()).toBeGreaterThan(14 * 60);
    store.advance(19 * MINUTE);
    expect(await lifetime()).toBeGreaterThanOrEqual(59);
  });

  it.each([-60, 60])(
    'goes by the clock of the store, which this machine’s differs from by %i minutes',
    async (minutes) => {
      const { sessions, tokens, store } = await servicesOf({ jwt });
      store.advance(minutes * MINUTE);
      const { live } = await sessions.start({ userId: 'ada' });
      const { accessToken, expiresIn } = tokens.issueFor(live);
      store.advance(expiresIn * 1000 - 1_001);
      expect((await tokens.verify(accessToken)).live.session.userId).toBe('ada');
      store.advance(2_001);
      await expect(tokens.verify(accessToken)).rejects.toMatchObject({ code: 'invalid_token' });
    },
  );

  it('revokes what has not expired: nothing is written for a token that nobody accepts any more', async () => {
    const { sessions, tokens, store } = await servicesOf({ jwt });
    const { session } = await sessions.start({ userId: 'ada' });
    const { accessToken, tokenId, expiresIn } = tokens.issue(session);
    store.advance(expiresIn * 1000);
    expect(await tokens.revoke(accessToken)).toBe(false);
    expect(await store.read(session.id, { tokenId })).toMatchObject({ state: 'live', tokenRevoked: false });
  });
});
