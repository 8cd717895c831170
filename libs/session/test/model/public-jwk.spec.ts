import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { publicJwkOf } from '../../src/model/public-jwk.js';

const newJwk = (): JsonWebKey => generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });

describe('keys that came with a proof', () => {
  it('are imported once, whatever else their JWK says and in whatever order', () => {
    const { kty, crv, x, y } = newJwk();
    const first = publicJwkOf({ kty, crv, x, y });
    expect(first?.key.export({ format: 'jwk' })).toEqual({ kty, crv, x, y });
    expect(publicJwkOf({ y, x, crv, kty, kid: 'mine', alg: 'ES256' })?.key).toBe(first?.key);
  });

  it('are never mistaken for each other: one member changed is another key, or none', () => {
    const [mine, other] = [newJwk(), newJwk()];
    expect(publicJwkOf(mine)?.thumbprint).not.toBe(publicJwkOf(other)?.thumbprint);
    expect(publicJwkOf({ ...mine, y: other.y })).toBeNull();
    expect(publicJwkOf({ ...mine, x: other.x })).toBeNull();
    expect(publicJwkOf({ ...mine, crv: 'P-384' })).toBeNull();
  });

  it('are refused for what they bring beside the key, also when the key is known', () => {
    const jwk = newJwk();
    expect(publicJwkOf(jwk)).not.toBeNull();
    for (const more of [{ d: 'AA' }, { k: 'AA' }, { use: 'enc' }]) expect(publicJwkOf({ ...jwk, ...more })).toBeNull();
  });

  it('are forgotten after 1,000 others', () => {
    const jwk = newJwk();
    const first = publicJwkOf(jwk)?.key;
    const others = Array.from({ length: 1_000 }, newJwk);
    for (const other of others.slice(1)) publicJwkOf(other);
    expect(publicJwkOf(jwk)?.key).toBe(first);
    for (const other of others) publicJwkOf(other);
    const again = publicJwkOf(jwk)?.key;
    expect(again).not.toBe(first);
    expect(again?.export({ format: 'jwk' })).toEqual(jwk);
  });
});
