import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import type { LiveSession } from '../../src/ports/session-store.js';
import { HTTP_STATUS } from '../../src/index.js';
import { AccountController } from '../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../support/app.js';
import type { Browser, Reply } from '../support/browser.js';
import { challengeIn, Device, offerIn, signed, type ProofChanges } from './support/device.js';

const BOUND = '__Host-session-bound';

/** Values that no field of ours has, whatever the field. */
const WRONG: readonly unknown[] = [null, 0, -1, Number.MAX_VALUE, true, [], {}, '', 'x'.repeat(3_000), ' ', 'ß'];

/** Every wrong value for a field, and its right one in other clothes. */
function variants(right: unknown): unknown[] {
  const dressed =
    typeof right === 'string' ? [swapCase(right), ` ${right}`, `${right}\n`, [right], { value: right }] : [];
  return [undefined, ...WRONG, ...dressed];
}

function swapCase(text: string): string {
  return text.replace(/[a-z]/gi, (letter) => (/[a-z]/.test(letter) ? letter.toUpperCase() : letter.toLowerCase()));
}

const HEADER_FIELDS = { alg: 'ES256', typ: 'dbsc+jwt' };
const device = new Device();
const other = new Device();
const rsa = new Device('RS256');
const weakRsa = generateKeyPairSync('rsa', { modulusLength: 1024 });
const oddRsa = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 });
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });

type Forge = (challenge: string) => string;
type Case = [name: string, forge: Forge];

function segments(proof: string): [string, string, string] {
  return proof.split('.') as [string, string, string];
}

/** What is wrong with a proof at both endpoints; `make` makes a good one with these changes. */
function commonCases(make: (challenge: string, changes?: ProofChanges) => string): Case[] {
  const text = (name: string, value: unknown): string =>
    `${name}: ${(JSON.stringify(value) ?? 'missing').slice(0, 40)}`;
  const headers = Object.entries(HEADER_FIELDS).flatMap(([field, right]) =>
    variants(right).map((value): Case => [text(field, value), (c) => make(c, { header: { [field]: value } })]),
  );
  const algorithms = ['none', 'None', 'HS256', 'ES384', 'ES512', 'PS256', 'RS256', 'EdDSA', 'ES256K'];
  const badlySigned =
    (value: string): Forge =>
    (c) => {
      const [header, payload] = segments(make(c));
      return `${header}.${payload}.${value}`;
    };
  return [
    ...headers,
    ...algorithms.map((alg): Case => [`alg ${alg}`, (c) => make(c, { header: { alg } })]),
    ...['kid', 'crit', 'b64'].map((name): Case => [`crit ${name}`, (c) => make(c, { header: { crit: [name] } })]),
    ...variants('a challenge').map((jti): Case => [text('jti', jti), (c) => make(c, { payload: { jti } })]),
    ...[swapCase, (c: string) => `${c}x`, (c: string) => c.slice(0, -1), (c: string) => c.replace(/^./, 'z')].map(
      (change, index): Case => [`challenge changed ${index}`, (c) => make(c, { payload: { jti: change(c) } })],
    ),
    ...[null, 0, true, [], {}, ['https://127.0.0.1']].map((aud): Case => [
      text('aud', aud),
      (c) => make(c, { payload: { aud } }),
    ]),
    ...[null, 0, '', 'a', {}].map((authorization): Case => [
      text('authorization', authorization),
      (c) => make(c, { payload: { authorization } }),
    ]),
    ['signed by another key', (c) => make(c, { key: other.privateKey })],
    ['signed by an RSA key', (c) => make(c, { key: rsa.privateKey })],
    ['no signature', badlySigned('')],
    ['a signature of zeros', badlySigned(Buffer.alloc(64).toString('base64url'))],
    ['a short signature', badlySigned('AAAA')],
    ['a long signature', badlySigned('A'.repeat(3_000))],
    [
      'a signature in DER',
      (c) => {
        const [header, payload] = segments(make(c));
        return badlySigned(
          sign('sha256', Buffer.from(`${header}.${payload}`), device.privateKey).toString('base64url'),
        )(c);
      },
    ],
    [
      'HMAC with the public key',
      (c) => {
        const [, payload] = segments(make(c));
        const header = Buffer.from('{"alg":"HS256","typ":"dbsc+jwt"}').toString('base64url');
        const tag = createHmac('sha256', JSON.stringify(device.jwk)).update(`${header}.${payload}`).digest('base64url');
        return `${header}.${payload}.${tag}`;
      },
    ],
    [
      'another payload under the same signature',
      (c) => {
        const [header, , signature] = segments(make(c));
        return `${header}.${Buffer.from(JSON.stringify({ jti: c, a: 1 })).toString('base64url')}.${signature}`;
      },
    ],
    ...['null', '5', '[]', '"x"', '{', ''].flatMap((json): Case[] => [
      [`header ${json}`, (c) => [Buffer.from(json).toString('base64url'), ...segments(make(c)).slice(1)].join('.')],
      [
        `payload ${json}`,
        (c) =>
          segments(make(c))
            .map((part, index) => (index === 1 ? Buffer.from(json).toString('base64url') : part))
            .join('.'),
      ],
    ]),
    ['two segments', (c) => segments(make(c)).slice(0, 2).join('.')],
    ['four segments', (c) => `${make(c)}.x`],
    ['not base64url', (c) => make(c).replace(/^./, '+')],
    ['nothing', () => ''],
    ['two dots', () => '..'],
    ['too long', (c) => make(c, { payload: { padding: 'x'.repeat(4_100) } })],
  ];
}

const registrationCases: Case[] = [
  ...commonCases((challenge, changes) => device.registrationProof(challenge, changes)),
  ...variants('object').map((jwk): Case => [
    `jwk ${JSON.stringify(jwk)?.slice(0, 30)}`,
    (c) => device.registrationProof(c, { header: { jwk } }),
  ]),
  ...Object.entries(device.jwk).flatMap(([member, right]) =>
    variants(right).map((value): Case => [
      `jwk.${member} ${JSON.stringify(value)?.slice(0, 30)}`,
      (c) => device.registrationProof(c, { header: { jwk: { ...device.jwk, [member]: value } } }),
    ]),
  ),
  ...['n', 'e'].flatMap((member) =>
    variants(rsa.jwk[member]).map((value): Case => [
      `RSA jwk.${member} ${JSON.stringify(value)?.slice(0, 30)}`,
      (c) => rsa.registrationProof(c, { header: { jwk: { ...rsa.jwk, [member]: value } } }),
    ]),
  ),
  ...['d', 'p', 'k', 'oth'].map((member): Case => [
    `jwk with ${member}`,
    (c) => device.registrationProof(c, { header: { jwk: { ...device.jwk, [member]: 'AA' } } }),
  ]),
  ['jwk for encryption', (c) => device.registrationProof(c, { header: { jwk: { ...device.jwk, use: 'enc' } } })],
  ['jwk of another key', (c) => device.registrationProof(c, { header: { jwk: other.jwk } })],
  ['jwk of another algorithm', (c) => device.registrationProof(c, { header: { jwk: rsa.jwk } })],
  ['a secret as key', (c) => device.registrationProof(c, { header: { jwk: { kty: 'oct', k: 'AAAA' } } })],
  [
    'a point off the curve',
    (c) =>
      device.registrationProof(c, { header: { jwk: { ...device.jwk, y: Buffer.alloc(32, 1).toString('base64url') } } }),
  ],
  [
    'RSA of 1024 bits',
    (c) =>
      signed(
        { alg: 'RS256', typ: 'dbsc+jwt', jwk: weakRsa.publicKey.export({ format: 'jwk' }) },
        { jti: c },
        weakRsa.privateKey,
      ),
  ],
  [
    'RSA with exponent 3',
    (c) =>
      signed(
        { alg: 'RS256', typ: 'dbsc+jwt', jwk: oddRsa.publicKey.export({ format: 'jwk' }) },
        { jti: c },
        oddRsa.privateKey,
      ),
  ],
  [
    'P-384',
    (c) =>
      signed(
        { alg: 'ES256', typ: 'dbsc+jwt', jwk: p384.publicKey.export({ format: 'jwk' }) },
        { jti: c },
        p384.privateKey,
      ),
  ],
  ['a proof for renewal', (c) => device.refreshProof(c)],
];

const refreshCases: Case[] = [
  ...commonCases((challenge, changes) => device.refreshProof(challenge, changes)),
  ['the key beside the proof', (c) => device.registrationProof(c)],
  ['another key beside the proof', (c) => other.registrationProof(c)],
  ['an RSA proof', (c) => rsa.refreshProof(c)],
];

/** Structured fields that hold no string, with a good proof in them. */
const fields: [name: string, write: (proof: string) => string][] = [
  ['half quoted', (proof) => `"${proof}`],
  ['quoted by apostrophes', (proof) => `'${proof}'`],
  ['as bytes', (proof) => `:${Buffer.from(proof).toString('base64')}:`],
  ['as a list', (proof) => `("${proof}")`],
  ['twice', (proof) => `"${proof}", "${proof}"`],
  ['with a stray escape', (proof) => `"\\a${proof}"`],
  ['with something behind it', (proof) => `"${proof}" x`],
  ['with a bad parameter', (proof) => `"${proof}";=1`],
  ['as a number', () => '5'],
  ['as a boolean', () => '?1'],
  ['empty', () => '""'],
  ['oversize', () => `"${'x'.repeat(6_000)}"`],
  ['Latin-1', (proof) => `"é${proof}"`],
];

const counted = registrationCases.length + refreshCases.length + 2 * fields.length;

// Each platform gets every other case: what differs between them is how headers arrive, and not what is in a proof.
describe.each(PLATFORMS)(`hostile proofs of devices on %s (${counted} and more on both)`, (platform) => {
  const mine = <T>(cases: readonly T[]): T[] =>
    cases.filter((_, index) => index % PLATFORMS.length === PLATFORMS.indexOf(platform));
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp({ platform, controllers: [AccountController], session: { deviceBound: true } });
  });
  afterAll(closeApps);

  function expectRefusal(reply: Reply): void {
    expect(reply.status).toBeGreaterThanOrEqual(400);
    expect(reply.status).toBeLessThan(500);
    expect([reply.body.code in HTTP_STATUS, reply.body.code]).toEqual([true, reply.body.code]);
    expect(reply.setCookies.map(({ name }) => name)).not.toContain(BOUND);
  }

  async function signedIn(): Promise<{ browser: Browser; login: Reply; id: string }> {
    const browser = app.browser();
    const login = await browser.post('/login', { userId: 'ada' });
    return { browser, login, id: login.body.session.id as string };
  }

  const send = async (browser: Browser, path: string, field: string, identifier?: string): Promise<Reply> =>
    browser.request(path, {
      method: 'POST',
      headers: {
        'secure-session-response': field,
        ...(identifier !== undefined && { 'sec-secure-session-id': `"${identifier}"` }),
      },
    });

  it.each(mine(registrationCases))('registration: %s', async (_name, forge) => {
    const { browser, login, id } = await signedIn();
    const { path, challenge } = offerIn(login);
    expectRefusal(await send(browser, path, `"${forge(challenge)}"`));
    expect(((await app.store.read(id)) as LiveSession).binding).toBeNull();
    // What was refused leaves the way open for a good one.
    expect((await device.register(browser, login)).status).toBe(200);
  });

  it.each(mine(refreshCases))('renewal: %s', async (_name, forge) => {
    const { browser, login, id } = await signedIn();
    await device.register(browser, login);
    const { binding } = (await app.store.read(id)) as LiveSession;
    const { identifier, refreshUrl } = device;
    const challenge = challengeIn(await device.askRefresh(browser));
    expectRefusal(await send(browser, refreshUrl, `"${forge(challenge)}"`, identifier));
    expect(((await app.store.read(id)) as LiveSession).binding).toEqual(binding);
    expect((await device.askRefresh(browser, device.refreshProof(challenge))).status).toBe(200);
  });

  it.each(fields)('a proof %s, at both endpoints', async (_name, write) => {
    const { browser, login } = await signedIn();
    const { path, challenge } = offerIn(login);
    expectRefusal(await send(browser, path, write(device.registrationProof(challenge))));
    await device.register(browser, login);
    const asked = challengeIn(await device.askRefresh(browser));
    expectRefusal(await send(browser, device.refreshUrl, write(device.refreshProof(asked)), device.identifier));
  });

  it('the challenge of another session, another purpose, another time', async () => {
    const { browser, login } = await signedIn();
    const elsewhere = await signedIn();
    const { path } = offerIn(login);
    const foreign = offerIn(elsewhere.login).challenge;
    expectRefusal(await send(browser, path, `"${device.registrationProof(foreign)}"`));
    await other.register(elsewhere.browser, elsewhere.login);
    const forRefresh = challengeIn(await other.askRefresh(elsewhere.browser));
    expectRefusal(await send(browser, path, `"${device.registrationProof(forRefresh)}"`));
    app.store.advance(6 * 60_000);
    expectRefusal(await send(browser, path, `"${device.registrationProof(offerIn(login).challenge)}"`));
    const again = await signedIn();
    await device.register(again.browser, again.login);
    for (const challenge of [offerIn(again.login).challenge, forRefresh]) {
      expectRefusal(
        await send(again.browser, device.refreshUrl, `"${device.refreshProof(challenge)}"`, device.identifier),
      );
    }
  });

  it('the proof of one session for another', async () => {
    const [one, two] = [await signedIn(), await signedIn()];
    await device.register(one.browser, one.login);
    await other.register(two.browser, two.login);
    const proof = device.refreshProof(challengeIn(await other.askRefresh(two.browser)));
    expectRefusal(await send(two.browser, other.refreshUrl, `"${proof}"`, other.identifier));
  });

  it.each(['', 'nobody', 'x'.repeat(32), `${'x'.repeat(32)}.${'A'.repeat(43)}`, 'x'.repeat(6_000), '*', '__proto__'])(
    'a renewal of %j, without a command',
    async (identifier) => {
      app.store.forget();
      const reply = await app.browser().request('/session/device/refresh', {
        method: 'POST',
        headers: { 'sec-secure-session-id': `"${identifier}"` },
      });
      expectRefusal(reply);
      expect(app.store.commands).toEqual([]);
    },
  );

  it.each([
    ['no cookie', undefined, 401],
    ['a forged cookie', 'st_x', 401],
    ['no string', '{}', 401],
  ])('a registration with %s, without a command', async (_name, cookie, status) => {
    app.store.forget();
    const reply = await app.browser().request('/session/device/register', {
      method: 'POST',
      headers: {
        'secure-session-response': `"${device.registrationProof('x')}"`,
        ...(cookie !== undefined && { cookie: `__Host-session=${cookie}` }),
      },
    });
    expectRefusal(reply);
    expect([reply.status, app.store.commands]).toEqual([status, []]);
  });

  it('a header that stands twice', async () => {
    const { browser, login } = await signedIn();
    const { path, challenge } = offerIn(login);
    const proof = `"${device.registrationProof(challenge)}"`;
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const request = httpRequest(app.url + path, { method: 'POST' }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      request.on('error', reject);
      request.setHeader('cookie', `__Host-session=${browser.jar.get('__Host-session')}`);
      request.setHeader('secure-session-response', [proof, proof]);
      request.end();
    });
    expect(status).toBe(400);
  });

  it.each([
    (value: string) => value.toUpperCase(),
    (value: string) => value.replace(/^./, '1'),
    (value: string) => value.slice(0, -1),
    () => '',
    () => 'x'.repeat(5_000),
    () => '0.' + 'A'.repeat(43),
  ])('a changed bound cookie (%#) is none', async (change) => {
    const { browser, login } = await signedIn();
    await device.register(browser, login);
    app.store.advance(60_000);
    browser.jar.set(BOUND, change(browser.jar.get(BOUND) ?? ''));
    expect((await browser.get('/me')).body.code).toBe('device_binding_required');
  });
});
