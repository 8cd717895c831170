import { createSecretKey, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import { resolveSessionOptions } from '../../src/options/resolve-options.js';
import type { JwtKeyOptions, JwtOptions } from '../../src/options/session-module-options.js';

const ec = (namedCurve: string): { privateKey: KeyObject; publicKey: KeyObject } =>
  generateKeyPairSync('ec', { namedCurve });
const rsa = (modulusLength: number): { privateKey: KeyObject; publicKey: KeyObject } =>
  generateKeyPairSync('rsa', { modulusLength });
const pem = (key: KeyObject): string =>
  key.export({ type: key.type === 'private' ? 'pkcs8' : 'spki', format: 'pem' }) as string;

const [p256, otherP256, p384, rsa2048, rsa1024] = [ec('P-256'), ec('P-256'), ec('P-384'), rsa(2048), rsa(1024)];
const ed25519 = generateKeyPairSync('ed25519');

const resolve = (...keys: JwtKeyOptions[]): unknown =>
  resolveSessionOptions({ jwt: { issuer: 'i', audience: 'a', keys } });
const kid = 'k';

describe('keys of access tokens', () => {
  it.each<[string, JwtKeyOptions, RegExp]>([
    ['HS256 under 32 bytes', { kid, alg: 'HS256', secret: randomBytes(31) }, /has 31 bytes, HS256 needs at least 32/],
    ['HS384 under 48 bytes', { kid, alg: 'HS384', secret: randomBytes(47) }, /at least 48/],
    ['HS512 under 64 bytes', { kid, alg: 'HS512', secret: randomBytes(63) }, /at least 64/],
    ['a three-byte text', { kid, alg: 'HS256', secret: 'abc' }, /has 3 bytes/],
    ['no bytes at all', { kid, alg: 'HS256', secret: Buffer.alloc(0) }, /./],
    ['a weak KeyObject', { kid, alg: 'HS512', secret: createSecretKey(randomBytes(32)) }, /at least 64/],
    ['RSA of 1024 bits', { kid, alg: 'RS256', privateKey: rsa1024.privateKey }, /has 1024 bits, at least 2048/],
    ['ES256 on P-384', { kid, alg: 'ES256', privateKey: p384.privateKey }, /needs an EC key on the curve prime256v1/],
    ['ES384 on P-256', { kid, alg: 'ES384', privateKey: p256.privateKey }, /curve secp384r1/],
    ['ES256 with RSA', { kid, alg: 'ES256', privateKey: rsa2048.privateKey }, /EC key/],
    ['RS256 with EC', { kid, alg: 'RS256', privateKey: p256.privateKey }, /needs an RSA key/],
    ['PS256 with Ed25519', { kid, alg: 'PS256', privateKey: ed25519.privateKey }, /needs an RSA key/],
    ['a public key as HMAC secret', { kid, alg: 'HS256', secret: pem(rsa2048.publicKey) }, /holds a PEM key/],
    ['a public KeyObject as HMAC secret', { kid, alg: 'HS256', secret: rsa2048.publicKey }, /secret key/],
    ['a private key that is public', { kid, alg: 'RS256', privateKey: pem(rsa2048.publicKey) }, /is no private key/],
    [
      'halves of different pairs',
      { kid, alg: 'ES256', privateKey: p256.privateKey, publicKey: otherP256.publicKey },
      /do not belong together/,
    ],
    [
      'a secret beside a key pair',
      { kid, alg: 'RS256', secret: randomBytes(64), privateKey: rsa2048.privateKey },
      /no secret/,
    ],
    [
      'a private key beside a secret',
      { kid, alg: 'HS256', secret: randomBytes(64), privateKey: rsa2048.privateKey },
      /nothing else/,
    ],
    ['nothing', { kid, alg: 'RS256' }, /needs a privateKey/],
    ['a first key that only verifies', { kid, alg: 'RS256', publicKey: rsa2048.publicKey }, /the first key signs/],
  ])('ASVS 11.2.3: %s does not boot', (_, key, message) => {
    expect(() => resolve(key)).toThrow(message);
    expect(() => resolve(key)).toThrow(expect.objectContaining({ code: 'invalid_configuration' }) as Error);
  });

  it('ASVS 9.1.2: two keys under one kid do not boot, whatever their kinds', () => {
    const hs: JwtKeyOptions = { kid, alg: 'HS256', secret: randomBytes(32) };
    expect(() => resolve(hs, { kid, alg: 'RS256', privateKey: rsa2048.privateKey })).toThrow(
      /two keys have the kid "k"/,
    );
    expect(() => resolve(hs, hs)).toThrow(/two keys/);
  });

  it.each<[string, JwtKeyOptions]>([
    ['HS256', { kid, alg: 'HS256', secret: randomBytes(32) }],
    ['HS512', { kid, alg: 'HS512', secret: randomBytes(64).toString('base64url') }],
    ['RS256 in PEM', { kid, alg: 'RS256', privateKey: pem(rsa2048.privateKey) }],
    ['PS256', { kid, alg: 'PS256', privateKey: rsa2048.privateKey }],
    ['ES256 with both halves', { kid, alg: 'ES256', privateKey: pem(p256.privateKey), publicKey: pem(p256.publicKey) }],
    ['ES384', { kid, alg: 'ES384', privateKey: p384.privateKey }],
  ])('takes %s, with a second key that only verifies behind it', (_, key) => {
    expect(() => resolve(key, { kid: 'old', alg: 'RS256', publicKey: rsa2048.publicKey })).not.toThrow();
  });

  it('never repeats a key in its complaint', () => {
    const secret = 'a-secret-that-is-short';
    const attempt = (): unknown => resolve({ kid, alg: 'HS512', secret });
    expect(attempt).toThrow(expect.not.objectContaining({ message: expect.stringContaining(secret) }) as Error);
  });

  it.each<[string, Partial<JwtOptions>]>([
    ['no audience', { issuer: 'i' }],
    ['an empty audience', { issuer: 'i', audience: '' }],
    ['an empty list', { issuer: 'i', audience: [] }],
    ['no issuer', { audience: 'a' }],
  ])('ASVS 9.2.3: %s does not boot', (_, jwt) => {
    expect(() => resolveSessionOptions({ jwt: jwt as JwtOptions })).toThrow(/jwt\.(audience|issuer)/);
  });
});
