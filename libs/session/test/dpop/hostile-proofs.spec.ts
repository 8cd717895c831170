import { createHmac, generateKeyPairSync, hash, type JsonWebKey, type KeyObject } from 'node:crypto';
import { connect } from 'node:net';
import { HTTP_STATUS, MemorySessionStore, type SessionErrorCode } from '../../src/index.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../support/app.js';
import type { Reply } from '../support/browser.js';
import { codeOf, DpopClient, encoded, signature, type Call, type ProofChanges } from './support/dpop-client.js';
import { DpopController } from './support/dpop.controller.js';

/** Values that no field of ours has, whatever the field. */
const WRONG: readonly unknown[] = [null, 0, -1, Number.MAX_VALUE, true, [], {}, '', ' ', 'ß', 'x'.repeat(3_000)];

/** Every wrong value for a field, and its right one in other clothes. */
function variants(right: string): unknown[] {
  return [undefined, ...WRONG, swapCase(right), ` ${right}`, `${right}\n`, `${right}\0`, [right], { value: right }];
}

function swapCase(text: string): string {
  return text.replace(/[a-z]/gi, (letter) => (/[a-z]/.test(letter) ? letter.toUpperCase() : letter.toLowerCase()));
}

/** What an attacker knows: a client of the application, its token, and where it is sent. */
interface Scene {
  readonly url: string;
  readonly client: DpopClient;
  readonly token: string;
}

type Case = [name: string, call: (scene: Scene) => Call];

const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const weakRsa = generateKeyPairSync('rsa', { modulusLength: 1024 });
const oddRsa = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 });
const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' });
const secp = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });

function shown(name: string, value: unknown): string {
  return `${name}: ${(JSON.stringify(value) ?? 'missing').slice(0, 40)}`;
}

/** A proof with these changes, otherwise good. */
function changed(name: string, change: ProofChanges | ((scene: Scene) => ProofChanges)): Case {
  return [name, (scene) => (typeof change === 'function' ? change(scene) : change)];
}

/** A text in place of a proof, made of a good one. */
function forged(name: string, forge: (good: string, scene: Scene) => string): Case {
  return [name, (scene) => ({ proof: forge(scene.client.proof('GET', `${scene.url}/me`, scene.token), scene) })];
}

function jwkOf(key: KeyObject): JsonWebKey {
  return key.export({ format: 'jwk' });
}

function parts(proof: string): [header: string, payload: string, signature: string] {
  return proof.split('.') as [string, string, string];
}

/** A proof over any texts, signed by the client's own key. */
function signedTexts(client: DpopClient, header: string, payload: string): string {
  const input = `${encoded(header)}.${encoded(payload)}`;
  return `${input}.${signature(input, client.privateKey, 'ES256')}`;
}

const NOW = (): number => Math.floor(Date.now() / 1000);

const cases: Case[] = [
  ...variants('dpop+jwt').map((typ) => changed(shown('typ', typ), { header: { typ } })),
  ...['jwt', 'JWT', 'at+jwt', 'dbsc+jwt', 'application/dpop+jwt'].map((typ) =>
    changed(shown('typ', typ), { header: { typ } }),
  ),
  ...variants('ES256').map((alg) => changed(shown('alg', alg), { header: { alg } })),
  ...[
    'none',
    'None',
    'NONE',
    'HS256',
    'HS384',
    'HS512',
    'ES384',
    'ES512',
    'ES256K',
    'RS256',
    'PS256',
    'EdDSA',
    'Ed25519',
    'Ed448',
  ].map((alg) => changed(shown('alg', alg), { header: { alg } })),
  ...[undefined, ...WRONG, 'EC', ['EC']].map((jwk) => changed(shown('jwk', jwk), { header: { jwk } })),
  ...['kty', 'crv', 'x', 'y'].flatMap((member) =>
    [undefined, ...WRONG].map((value) =>
      changed(shown(`jwk.${member}`, value), ({ client }) => ({ header: { jwk: { ...client.jwk, [member]: value } } })),
    ),
  ),
  changed('jwk with the private key', ({ client }) => ({ header: { jwk: jwkOf(client.privateKey) } })),
  ...['d', 'k', 'p', 'oth'].map((member) =>
    changed(`jwk with the member ${member}`, ({ client }) => ({
      header: { jwk: { ...client.jwk, [member]: 'AQAB' } },
    })),
  ),
  changed('jwk for encryption', ({ client }) => ({ header: { jwk: { ...client.jwk, use: 'enc' } } })),
  changed('jwk whose point is off the curve', ({ client }) => ({
    header: { jwk: { ...client.jwk, y: client.jwk.x } },
  })),
  changed('jwk of another key', { header: { jwk: jwkOf(other.publicKey) } }),
  changed('signed by another key', { key: other.privateKey }),
  changed('another key altogether', { header: { jwk: jwkOf(other.publicKey) }, key: other.privateKey }),
  changed('a weak RSA key', { header: { jwk: jwkOf(weakRsa.publicKey), alg: 'RS256' } }),
  changed('an RSA key with the exponent 3', { header: { jwk: jwkOf(oddRsa.publicKey), alg: 'RS256' } }),
  changed('a key on P-521', { header: { jwk: jwkOf(p521.publicKey), alg: 'ES512' } }),
  changed('a key on secp256k1', { header: { jwk: jwkOf(secp.publicKey) } }),
  changed('a symmetric key', { header: { jwk: { kty: 'oct', k: 'A'.repeat(43) }, alg: 'HS256' } }),
  ...['jwk', 'exp', 'b64', 'kid'].map((name) => changed(`crit ${name}`, { header: { crit: [name] } })),
  forged('HMAC under the public key', (good, { client }) => {
    const [, payload] = parts(good);
    const input = `${encoded(JSON.stringify({ typ: 'dpop+jwt', alg: 'HS256', jwk: client.jwk }))}.${payload}`;
    const secret = client.publicKey.export({ format: 'pem', type: 'spki' });
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
  }),
  forged('alg none without a signature', (good, { client }) => {
    const [, payload] = parts(good);
    return `${encoded(JSON.stringify({ typ: 'dpop+jwt', alg: 'none', jwk: client.jwk }))}.${payload}.`;
  }),
  ...[undefined, ...WRONG.filter((value) => value !== ' ' && value !== 'ß'), 'x'.repeat(257)].map((jti) =>
    changed(shown('jti', jti), { payload: { jti } }),
  ),
  ...variants('GET').map((htm) => changed(shown('htm', htm), { payload: { htm } })),
  ...['get', 'POST', 'HEAD', 'OPTIONS', 'GET,POST', '*'].map((htm) => changed(shown('htm', htm), { payload: { htm } })),
  ...[undefined, ...WRONG].map((htu) => changed(shown('htu', htu), { payload: { htu } })),
  ...(
    [
      ['another host', () => 'https://evil.example/me'],
      ['another scheme', (url) => `${url.replace('http:', 'https:')}/me`],
      ['a scheme of sockets', (url) => `${url.replace('http:', 'ws:')}/me`],
      ['another port', (url) => `${url.replace(/\d+$/, '1')}/me`],
      ['no port', (url) => `${url.replace(/:\d+$/, '')}/me`],
      ['a user in front of the host', (url) => `${url.replace('://', '://me@')}/me`],
      ['a user and password in front', (url) => `${url.replace('://', '://a:b@')}/me`],
      ['another path', (url) => `${url}/admin`],
      ['a longer path', (url) => `${url}/me/`],
      ['a shorter path', (url) => `${url}/m`],
      ['a path in upper case', (url) => `${url}/ME`],
      ['no path', (url) => url],
      ['the path alone', () => '/me'],
      ['the path in the query', (url) => `${url}/?/me`],
      ['the path in the fragment', (url) => `${url}/#/me`],
      ['no scheme', (url) => `${url.replace('http:', '')}/me`],
      ['a backslash', (url) => `${url}\\me`],
      ['spaces around', (url) => ` ${url}/me `],
      ['a line break inside', (url) => `${url}/\nme`],
      ['data', () => 'data:text/plain,me'],
      ['a list', (url) => [`${url}/me`]],
    ] satisfies [string, (url: string) => unknown][]
  ).map(([name, htuOf]) => changed(`htu with ${name}`, ({ url }) => ({ payload: { htu: htuOf(url) } }))),
  ...[undefined, null, true, [], {}, '', 'now', '1', [1]].map((iat) =>
    changed(shown('iat', iat), { payload: { iat } }),
  ),
  ...(
    [
      ['0', () => 0],
      ['-1', () => -1],
      ['in milliseconds', () => Date.now()],
      ['ten minutes ago', () => NOW() - 600],
      ['two minutes ago', () => NOW() - 120],
      ['two minutes ahead', () => NOW() + 120],
      ['a year ahead', () => NOW() + 365 * 86_400],
      ['the largest number', () => Number.MAX_VALUE],
      ['as text', () => String(NOW())],
      ['in a list', () => [NOW()]],
    ] satisfies [string, () => unknown][]
  ).map(([name, iatOf]) => changed(`iat ${name}`, () => ({ payload: { iat: iatOf() } }))),
  forged('an iat that JSON reads as infinity', (good, { client }) => {
    const [header, payload] = parts(good).map((part) => Buffer.from(part, 'base64url').toString());
    return signedTexts(client, header ?? '', (payload ?? '').replace(/"iat":\d+/, '"iat":1e999'));
  }),
  ...[undefined, ...WRONG].map((ath) => changed(shown('ath', ath), { payload: { ath } })),
  changed('ath of another token', { payload: { ath: hash('sha256', 'another token', 'base64url') } }),
  changed('ath in hex', ({ token }) => ({ payload: { ath: hash('sha256', token, 'hex') } })),
  changed('ath in padded base64', ({ token }) => ({ payload: { ath: hash('sha256', token, 'base64') } })),
  changed('ath by SHA-512', ({ token }) => ({ payload: { ath: hash('sha512', token, 'base64url') } })),
  changed('the token as ath', ({ token }) => ({ payload: { ath: token } })),
  ...WRONG.map((nonce) => changed(shown('nonce', nonce), { payload: { nonce } })),
  ...[
    `${Date.now().toString(36)}.${'A'.repeat(43)}`,
    `0.${'A'.repeat(43)}`,
    'eyJ7S_zG.eyJH0-Z.HX4w-7v',
    `zzzzzzzzzzz.${'A'.repeat(43)}`,
  ].map((nonce) => changed(shown('a nonce of nobody', nonce), { payload: { nonce } })),
  forged('no signature', (good) => `${good.slice(0, good.lastIndexOf('.'))}.`),
  forged('two parts', (good) => good.slice(0, good.lastIndexOf('.'))),
  forged('four parts', (good) => `${good}.AAAA`),
  forged('a signature of zeros', (good) => good.replace(/[^.]+$/, Buffer.alloc(64).toString('base64url'))),
  forged('a short signature', (good) => good.replace(/[^.]+$/, 'AAAA')),
  forged('a long signature', (good) => good.replace(/[^.]+$/, 'A'.repeat(3_000))),
  forged('a signature in DER', (good, { client }) => {
    const [header, payload] = parts(good);
    const der = Buffer.concat([Buffer.from([0x30, 0x44]), Buffer.alloc(68, 1)]);
    return `${header}.${payload}.${client.privateKey ? der.toString('base64url') : ''}`;
  }),
  forged('a changed payload', (good) => {
    const [header, payload, signed] = parts(good);
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
    return `${header}.${encoded(JSON.stringify({ ...claims, jti: 'another' }))}.${signed}`;
  }),
  forged('a changed header', (good) => {
    const [header, payload, signed] = parts(good);
    const parameters = JSON.parse(Buffer.from(header, 'base64url').toString()) as Record<string, unknown>;
    return `${encoded(JSON.stringify({ ...parameters, kid: 'x' }))}.${payload}.${signed}`;
  }),
  forged('a header that is a list', (good, { client }) => signedTexts(client, '[]', '{}')),
  forged('a payload that is a list', (good, { client }) =>
    signedTexts(client, JSON.stringify({ typ: 'dpop+jwt', alg: 'ES256', jwk: client.jwk }), '[]'),
  ),
  forged('a payload that is null', (good, { client }) =>
    signedTexts(client, JSON.stringify({ typ: 'dpop+jwt', alg: 'ES256', jwk: client.jwk }), 'null'),
  ),
  forged('a header that is no JSON', (good, { client }) => signedTexts(client, '{', '{}')),
  forged('two typ, the second wrong', (good, { client }) => {
    const header = `{"typ":"dpop+jwt","alg":"ES256","jwk":${JSON.stringify(client.jwk)},"typ":"jwt"}`;
    return signedTexts(client, header, Buffer.from(parts(good)[1], 'base64url').toString());
  }),
  forged('claims behind __proto__', (good, { client }) => {
    const payload = Buffer.from(parts(good)[1], 'base64url').toString();
    const header = JSON.stringify({ typ: 'dpop+jwt', alg: 'ES256', jwk: client.jwk });
    return signedTexts(client, header, `{"__proto__":${payload}}`);
  }),
  forged('a header behind __proto__', (good, { client }) => {
    const header = JSON.stringify({ typ: 'dpop+jwt', alg: 'ES256', jwk: client.jwk });
    return signedTexts(client, `{"__proto__":${header}}`, Buffer.from(parts(good)[1], 'base64url').toString());
  }),
  forged('nothing', () => ''),
  forged('dots', () => '..'),
  forged('other characters', (good) => good.replaceAll('.', ' ')),
  forged('two proofs in one header', (good) => `${good}, ${good}`),
  forged('quotes around it', (good) => `"${good}"`),
  forged('a scheme in front', (good) => `DPoP ${good}`),
  forged('more than 4,096 characters', (good) => `${good}${'A'.repeat(4_096)}`),
  forged('the access token', (_good, { token }) => token),
  ['no proof', () => ({ proof: null })],
  ['the scheme Bearer', () => ({ scheme: 'Bearer' })],
  ['the scheme Bearer without a proof', () => ({ scheme: 'Bearer', proof: null })],
  ['the scheme bearer in small letters', () => ({ scheme: 'bearer' })],
  ['another user’s token', () => ({})],
];

/** Right for the request of a sign-in, which is a POST without an access token. */
const ELSEWHERE = /^(ath|the token as ath|the scheme|another|jwk of|signed by|htm: "POST")/;

/** What a refusal of a proof may be called. */
const CODES: readonly string[] = ['invalid_dpop_proof', 'use_dpop_nonce', 'invalid_token'];

describe.each(PLATFORMS)('10.3.5: hostile DPoP proofs on %s', (platform) => {
  let app: TestApp;
  let client: DpopClient;
  let scene: Scene;

  beforeAll(async () => {
    app = await startApp({
      platform,
      controllers: [DpopController],
      // By the same clock as the proofs, however long the file takes.
      session: { store: new MemorySessionStore(), jwt: { issuer: 'i', audience: 'a', dpop: 'optional' } },
    });
    client = new DpopClient(app.url);
    await client.login();
    scene = { url: app.url, client, token: client.tokens?.accessToken ?? '' };
  });

  afterAll(closeApps);

  const refusedWith = (reply: Reply): void => {
    expect(reply.status).toBe(401);
    expect(CODES).toContain(codeOf(reply));
    expect(HTTP_STATUS[codeOf(reply) as SessionErrorCode]).toBe(401);
    expect(reply.headers.get('www-authenticate')).toMatch(/DPoP algs="/);
    expect(reply.headers.get('cache-control')).toBe('no-store');
  };

  it('there are more than 250', () => {
    expect(new Set(cases.map(([name]) => name)).size).toBeGreaterThan(250);
  });

  it.each(cases)('%s', async (name, callOf) => {
    let call = callOf(scene);
    if (name.startsWith('another user')) {
      const bob = new DpopClient(app.url);
      await bob.login('bob');
      call = { token: bob.tokens?.accessToken ?? null };
    }
    refusedWith(await client.send('/me', call));
  });

  // Nothing here depends on the platform.
  const ofSignIns = platform === 'express' ? cases.filter(([name]) => !ELSEWHERE.test(name)) : [];
  for (const [name, callOf] of ofSignIns) {
    it(`does not bind a sign-in: ${name}`, async () => {
      const { proof, header, payload, key } = callOf(scene);
      // What was said of GET /me is said of POST /login, where it names the request.
      const call: Call = {
        method: 'POST',
        token: null,
        body: { userId: 'eve', transport: 'bearer' },
        ...(header && { header }),
        ...(payload && { payload }),
        ...(key && { key }),
        ...(proof !== undefined && { proof }),
      };
      const reply = await client.send('/login', call);
      const { tokens } = (reply.body ?? {}) as { tokens?: { tokenType: string } };
      // Without any proof at all a bearer token is what was asked for.
      if (proof === null) expect(tokens?.tokenType).toBe('Bearer');
      else refusedWith(reply);
    });
  }

  it('after all of that the client goes on, and nobody but those without a proof was signed in', async () => {
    expect((await client.call('/me')).status).toBe(200);
    expect((await client.refresh()).status).toBe(200);
  });

  it('two DPoP headers, two Authorization headers', async () => {
    const { hostname, port } = new URL(app.url);
    const proof = client.proof('GET', `${app.url}/me`, client.tokens?.accessToken ?? null);
    const authorization = `Authorization: DPoP ${client.tokens?.accessToken}`;
    const twice = await raw(Number(port), hostname, [authorization, `DPoP: ${proof}`, `dpop: ${proof}`]);
    expect(twice).toMatch(/^HTTP\/1.1 401 /);
    expect(twice).toContain('"code":"invalid_dpop_proof"');
    const both = await raw(Number(port), hostname, [authorization, authorization, `DPoP: ${proof}`]);
    expect(both).toMatch(/^HTTP\/1.1 400 /);
    const once = await raw(Number(port), hostname, [authorization, `DPOP: ${proof}`]);
    expect(once).toMatch(/^HTTP\/1.1 200 /);
  });

  it('a path with dot segments is no path that a proof names', async () => {
    const { hostname, port } = new URL(app.url);
    for (const path of ['/items/../me', '/items/%2e%2e/me', '/items/..']) {
      const htu = new URL(path, app.url).href;
      const proof = client.proof('GET', htu, client.tokens?.accessToken ?? null);
      const answer = await raw(
        Number(port),
        hostname,
        [`Authorization: DPoP ${client.tokens?.accessToken}`, `DPoP: ${proof}`],
        path,
      );
      expect(answer).toMatch(/^HTTP\/1.1 40[14] /);
    }
  });
});

/** Sends what no client library would. */
async function raw(port: number, host: string, lines: readonly string[], path = '/me'): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host, () => {
      socket.write(
        [`GET ${path} HTTP/1.1`, `Host: ${host}:${port}`, 'Connection: close', ...lines, '', ''].join('\r\n'),
      );
    });
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk.toString()));
    socket.on('end', () => resolve(answer));
    socket.on('error', reject);
  });
}
