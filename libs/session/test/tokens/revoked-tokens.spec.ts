import { createSessionCore } from '../../src/core/session-core.js';
import { resolveSessionOptions } from '../../src/options/resolve-options.js';
import type { StoreHarness } from '../../src/store-contract/store-harness.js';
import { createMemoryHarness } from '../support/memory-harness.js';
import { redisHarness } from '../support/redis-harness.js';

const MINUTE = 60_000;

describe.each([
  ['memory', createMemoryHarness],
  ['Redis', redisHarness],
] as const)('a revoked access token, on %s', (_, open) => {
  let harness: StoreHarness;

  beforeEach(async () => {
    harness = await open({ idleTimeout: 20 * 60 * MINUTE });
  });
  afterEach(() => harness.close());

  it('stays revoked for clockTolerance past its exp: an instance whose clock is behind would take it for good', async () => {
    const options = resolveSessionOptions({
      jwt: { issuer: 'https://issuer.example', audience: 'api' },
      session: { idleTimeout: '20h' },
      clockTolerance: '2m',
    });
    const { sessions, tokens } = await createSessionCore(options, { store: harness.store });
    const { live, session } = await sessions.start({ userId: 'ada' });
    const { accessToken, tokenId, expiresIn } = tokens.issueFor(live);
    expect(await tokens.revoke(accessToken)).toBe(true);
    const isRevoked = async (): Promise<unknown> =>
      ((await harness.store.read(session.id, { tokenId })) as { tokenRevoked?: boolean }).tokenRevoked;
    await harness.advance(expiresIn * 1000 + MINUTE);
    expect(await isRevoked()).toBe(true);
    await harness.advance(2 * MINUTE);
    expect(await isRevoked()).toBe(false);
    await expect(tokens.verify(accessToken)).rejects.toMatchObject({ code: 'invalid_token' });
  });
});
