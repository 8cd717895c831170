import { randomBytes } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { createSessionCore } from '../../src/core/session-core.js';
import { resolveSessionOptions } from '../../src/options/resolve-options.js';
import type { StoreHarness } from '../../src/store-contract/store-harness.js';
import { createMemoryHarness } from '../support/memory-harness.js';
import { redisHarness } from '../support/redis-harness.js';

describe.each([
  ['memory', createMemoryHarness],
  ['Redis', redisHarness],
] as const)('an access token that is correctly signed, on %s', (_, open) => {
  let harness: StoreHarness;

  beforeEach(async () => {
    harness = await open({});
  });
  afterEach(() => harness.close());

  it('is refused where its subject is not the user of its session (RFC 9068, 4; RFC 7519, 4.1.2)', async () => {
    const secret = randomBytes(32);
    const options = resolveSessionOptions({
      jwt: { issuer: 'https://issuer.example', audience: 'api', keys: [{ kid: 'k', alg: 'HS256', secret }] },
    });
    const { sessions, tokens } = await createSessionCore(options, { store: harness.store });
    const { live } = await sessions.start({ userId: 'ada' });
    await sessions.start({ userId: 'bob' });
    const { accessToken } = tokens.issueFor(live);
    const signedFor = (sub: string): string => {
      const claims = { ...(jwt.decode(accessToken) as object), sub };
      return jwt.sign(claims, secret, { algorithm: 'HS256', header: { alg: 'HS256', typ: 'at+jwt', kid: 'k' } });
    };
    expect((await tokens.verify(signedFor('ada'))).live.session.userId).toBe('ada');
    for (const sub of ['bob', 'Ada', 'ada ']) {
      await expect(tokens.verify(signedFor(sub))).rejects.toMatchObject({ code: 'invalid_token' });
    }
  });
});
