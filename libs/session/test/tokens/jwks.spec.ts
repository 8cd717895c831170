import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { servicesOf } from '../support/services.js';

const [ec, rsa] = [
  generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  generateKeyPairSync('rsa', { modulusLength: 2048 }),
];
const NAMES = { issuer: 'https://issuer.example', audience: 'api' };

describe('the public keys for verifiers elsewhere (RFC 7517)', () => {
  it('a secret is never among them: who reads it could sign (RFC 8725, 3.5)', async () => {
    const secret = randomBytes(64);
    const { tokens } = await servicesOf({
      jwt: {
        ...NAMES,
        keys: [
          { kid: 'first', alg: 'ES256', privateKey: ec.privateKey },
          { kid: 'shared', alg: 'HS256', secret },
          { kid: 'older', alg: 'RS256', publicKey: rsa.publicKey },
        ],
      },
    });
    const { keys } = tokens.jwks();
    expect(keys.map(({ kid, alg, kty, use }) => ({ kid, alg, kty, use }))).toEqual([
      { kid: 'first', alg: 'ES256', kty: 'EC', use: 'sig' },
      { kid: 'older', alg: 'RS256', kty: 'RSA', use: 'sig' },
    ]);
    expect(JSON.stringify(keys)).not.toContain(secret.toString('base64url'));
    for (const key of keys) {
      for (const member of ['k', 'd', 'p', 'q', 'dp', 'dq', 'qi']) expect(key).not.toHaveProperty(member);
    }
  });

  it('there are none where the keys are derived from the secrets', async () => {
    const { tokens } = await servicesOf({ jwt: NAMES });
    expect(tokens.jwks()).toEqual({ keys: [] });
  });
});
