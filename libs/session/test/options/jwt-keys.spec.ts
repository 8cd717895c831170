import {
  checkPrimeSync,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  generatePrimeSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { resolveSessionOptions } from '../../src/options/resolve-options.js';
import type { JwtKeyOptions, JwtOptions } from '../../src/options/session-module-options.js';

const ec = (namedCurve: string): { privateKey: KeyObject; publicKey: KeyObject } =>
  generateKeyPairSync('ec', { namedCurve });
const rsa = (modulusLength: number): { privateKey: KeyObject; publicKey: KeyObject } =>
  generateKeyPairSync('rsa', { modulusLength });
const pem = (key: KeyObject): string =>
  key.export({ type: key.type === 'private' ? 'pkcs8' : 'spki', format: 'pem' }) as string;

/** A public key of these numbers, which no generator would make. */
const rsaOf = (n: bigint, e = 65_537n): KeyObject => {
  const text = (value: bigint): string => {
    const hex = value.toString(16);
    return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url');
  };
  return createPublicKey({ key: { kty: 'RSA', n: text(n), e: text(e) }, format: 'jwk' });
};
const numberOf = (key: KeyObject): bigint =>
  BigInt(`0x${Buffer.from(key.export({ format: 'jwk' }).n ?? '', 'base64url').toString('hex')}`);
const primeAbove = (start: bigint): bigint => {
  for (let candidate = start | 1n; ; candidate += 2n) if (checkPrimeSync(candidate)) return candidate;
};

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
    ['a private key that is public', { kid, alg: 'RS256', privateKey: pem(rsa2048.publicKey) }, /is not a private key/],
    [
      'halves of different pairs',
      { kid, alg: 'ES256', privateKey: p256.privateKey, publicKey: otherP256.publicKey },
      /do not belong together/,
    ],
    [
      'a secret beside a key pair',
      { kid, alg: 'RS256', secret: randomBytes(64), privateKey: rsa2048.privateKey },
      /not secret/,
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

  describe('ASVS 11.2.3: an RSA key with which others can sign does not boot', () => {
    const n = numberOf(rsa2048.publicKey);
    const prime = generatePrimeSync(1024, { bigint: true, add: 2n, rem: 1n }) | (1n << 1023n);
    const p = primeAbove(prime | (1n << 1022n));
    it.each<[string, () => KeyObject, RegExp]>([
      ['the public exponent 1', () => rsaOf(n, 1n), /public exponent 1, with which others can sign/],
      ['the public exponent 2', () => rsaOf(n, 2n), /public exponent 2/],
      ['the public exponent 3', () => rsaOf(n, 3n), /public exponent 3/],
      ['an even exponent', () => rsaOf(n, 65_538n), /public exponent 65538/],
      ['an even modulus', () => rsaOf(n - 1n), /a modulus that is easy to factor.*openssl genrsa 3072/],
      ['a modulus with a small factor', () => rsaOf(n * 1_009n), /easy to factor/],
      ['a prime modulus', () => rsaOf(generatePrimeSync(2048, { bigint: true })), /easy to factor/],
      ['a square modulus', () => rsaOf(p * p), /easy to factor/],
      ['two primes close together (CVE-2022-26320)', () => rsaOf(p * primeAbove(p + 2n)), /easy to factor/],
    ])('%s', (_, make, message) => {
      const key = make();
      for (const alg of ['RS256', 'PS256'] as const)
        for (const publicKey of [key, pem(key)])
          expect(() =>
            resolve({ kid: 'new', alg: 'ES256', privateKey: p256.privateKey }, { kid, alg, publicKey }),
          ).toThrow(message);
    });
  });

  describe('ASVS 9.1.2: a key pair is no HMAC secret, in whatever spelling', () => {
    const der = (key: KeyObject, type: 'spki' | 'pkcs1' | 'pkcs8' | 'sec1'): Buffer =>
      key.export({ type, format: 'der' } as never) as unknown as Buffer;
    const spki = der(rsa2048.publicKey, 'spki');
    const point = Buffer.concat([
      Buffer.of(4),
      ...(['x', 'y'] as const).map((part) =>
        Buffer.from(p256.publicKey.export({ format: 'jwk' })[part] ?? '', 'base64url'),
      ),
    ]);
    const part = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes]);
    const ssh = Buffer.concat([part(Buffer.from('ssh-ed25519')), part(der(ed25519.publicKey, 'spki').subarray(-32))]);
    const spellings: [string, string | Uint8Array | KeyObject][] = [
      ['PEM', pem(rsa2048.publicKey)],
      ['PEM as bytes', Buffer.from(pem(rsa2048.publicKey))],
      ['PEM in base64', Buffer.from(pem(p256.publicKey)).toString('base64')],
      ['DER', spki],
      ['DER as Uint8Array', new Uint8Array(spki)],
      ['DER of PKCS#1', der(rsa2048.publicKey, 'pkcs1')],
      ['DER in base64', spki.toString('base64')],
      ['DER in base64url', spki.toString('base64url')],
      ['DER in base64 with line ends', spki.toString('base64').replace(/(.{64})/g, '$1\n')],
      ['DER in hexadecimal', spki.toString('hex')],
      ['DER of an EC key in base64', der(p256.publicKey, 'spki').toString('base64')],
      ['DER of an Ed25519 key', der(ed25519.publicKey, 'spki')],
      ['a KeyObject of DER', createSecretKey(spki)],
      ['a KeyObject of PEM', createSecretKey(Buffer.from(pem(rsa2048.publicKey)))],
      ['JWK text', JSON.stringify(rsa2048.publicKey.export({ format: 'jwk' }))],
      [
        'JWK text in base64url',
        Buffer.from(JSON.stringify(p256.publicKey.export({ format: 'jwk' }))).toString('base64url'),
      ],
      ['a JWK set', JSON.stringify({ keys: [p256.publicKey.export({ format: 'jwk' })] })],
      ['a point of the curve', point],
      ['a point of the curve in base64', point.toString('base64')],
      ['a key of ssh', `ssh-rsa ${spki.toString('base64')} me@host`],
      ['the middle of a key of ssh', ssh.toString('base64')],
      ['a private key', der(p256.privateKey, 'pkcs8')],
      ['a private key of SEC 1', der(p256.privateKey, 'sec1').toString('base64')],
    ];
    it.each(spellings)('%s', (_, secret) => {
      expect(() => resolve({ kid, alg: 'HS256', secret })).toThrow(/jwt\.keys\[0\]\.secret: holds a /);
      if (typeof secret === 'string' || secret instanceof Uint8Array) {
        expect(() => resolveSessionOptions({ secrets: [randomBytes(32), secret] })).toThrow(
          /secrets\[1\]: holds a public/,
        );
        const expressSession = { secret: Buffer.from(secret as Uint8Array).toString('latin1') };
        if (typeof secret === 'string')
          expect(() => resolveSessionOptions({ expressSession })).toThrow(/expressSession\.secret: holds a public/);
      }
    });
  });

  describe('a secret that can be guessed does not boot', () => {
    it.each<[string, string | Uint8Array]>([
      ['32 zero bytes', Buffer.alloc(32)],
      ['64 bytes of 0xff', Buffer.alloc(64, 0xff)],
      ['one repeated character', 'x'.repeat(64)],
      ['two characters', 'ab'.repeat(32)],
      ['a repeated word', 'password'.repeat(8)],
      ['bytes that count up', Buffer.from(Array.from({ length: 32 }, (_, index) => index))],
      ['characters that count down', Array.from({ length: 40 }, (_, n) => String.fromCharCode(120 - n)).join('')],
      ['a repeated word, cut off', 'change-me!'.repeat(8).slice(0, 67)],
    ])('%s', (_, secret) => {
      expect(() => resolve({ kid, alg: 'HS256', secret })).toThrow(/repeats itself.*openssl rand -base64 48/);
      expect(() => resolve({ kid, alg: 'HS256', secret: createSecretKey(Buffer.from(secret as Uint8Array)) })).toThrow(
        /repeats itself/,
      );
      expect(() => resolveSessionOptions({ secrets: secret })).toThrow(/secrets: repeats itself/);
    });

    it('and random ones always do', () => {
      for (let i = 0; i < 300; i++) {
        const bytes = randomBytes(64);
        const spellings = [
          bytes,
          bytes.subarray(0, 32),
          bytes.toString('hex'),
          bytes.toString('base64'),
          bytes.subarray(0, 16).toString('hex'),
        ];
        expect(() => resolveSessionOptions({ secrets: spellings })).not.toThrow();
      }
    });
  });

  it('warns once of RSA below 3072 bits, and of nothing else', () => {
    const warnings = (...keys: JwtKeyOptions[]): readonly string[] =>
      resolveSessionOptions({ jwt: { issuer: 'i', audience: 'a', keys } }).warnings;
    const short: JwtKeyOptions = { kid: 'short', alg: 'RS256', privateKey: rsa2048.privateKey };
    const old: JwtKeyOptions = { kid: 'old', alg: 'PS256', publicKey: pem(rsa2048.publicKey) };
    expect(warnings(short, old)).toEqual([
      expect.stringMatching(/"short" \(2048 bits\), "old" \(2048 bits\).*ASVS 11\.2\.3.*3072 bits/),
    ]);
    expect(warnings({ kid, alg: 'RS256', privateKey: rsa(3072).privateKey })).toEqual([]);
    expect(warnings({ kid, alg: 'ES256', privateKey: p256.privateKey })).toEqual([]);
    expect(resolveSessionOptions().warnings).toEqual([]);
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
  ])('takes %s, with a second key that only verifies after it', (_, key) => {
    expect(() => resolve(key, { kid: 'old', alg: 'RS256', publicKey: rsa2048.publicKey })).not.toThrow();
  });

  it('never repeats a key in its problem', () => {
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
