import { createHmac, createSign, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';

/** Keys of every family, as a verifier under test would be configured with them. */
export interface TestKeys {
  readonly hs: { kid: 'hs'; secret: Buffer };
  readonly rs: { kid: 'rs'; privateKey: KeyObject; publicKey: KeyObject };
  readonly es: { kid: 'es'; privateKey: KeyObject; publicKey: KeyObject };
  readonly stranger: { privateKey: KeyObject; publicKey: KeyObject };
}

export function makeKeys(): TestKeys {
  return {
    hs: { kid: 'hs', secret: randomBytes(64) },
    rs: { kid: 'rs', ...generateKeyPairSync('rsa', { modulusLength: 2048 }) },
    es: { kid: 'es', ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) },
    stranger: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  };
}

export interface HostileToken {
  readonly name: string;
  readonly token: string;
}

const b64 = (text: string | Buffer): string => Buffer.from(text).toString('base64url');

/** Signs what stands there, letter by letter: JSON text instead of objects, so that nothing is tidied up on the way. */
export function signText(
  header: string,
  payload: string,
  how: { alg: string; key: KeyObject | Buffer | string },
): string {
  const input = `${b64(header)}.${b64(payload)}`;
  return `${input}.${signature(input, how)}`;
}

function signature(input: string, { alg, key }: { alg: string; key: KeyObject | Buffer | string }): string {
  const hash = `sha${alg.slice(2)}`;
  if (alg.startsWith('HS')) return createHmac(hash, key).update(input).digest('base64url');
  const signer = createSign(hash).update(input);
  return signer
    .sign(alg.startsWith('ES') ? { key: key as KeyObject, dsaEncoding: 'ieee-p1363' } : key)
    .toString('base64url');
}

/** JSON texts of every type, and the shapes that have fooled verifiers before. */
const ODD_VALUES: readonly string[] = [
  'null',
  'true',
  'false',
  '0',
  '-1',
  '1.5',
  '1e999',
  '-1e999',
  '""',
  '" "',
  '"x"',
  '[]',
  '{}',
  '[null]',
  '[1]',
  '["x"]',
  '{"a":1}',
  '"\\u0000"',
  '"__proto__"',
  '"constructor"',
  '"../../../etc/passwd"',
  `"${'x'.repeat(2000)}"`,
];

const text = (entries: Record<string, string>): string =>
  `{${Object.entries(entries)
    .map(([name, value]) => `${JSON.stringify(name)}:${value}`)
    .join(',')}}`;

const raw = (values: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, JSON.stringify(value)]));

/**
 * Tokens that must be refused, each wrong in one way and right in every other: all but those that say otherwise bear a
 * good signature, so that nothing but the fault itself can be what refuses them.
 */
export function hostileTokens(keys: TestKeys, claims: Record<string, unknown>, now: number): HostileToken[] {
  const tokens: HostileToken[] = [];
  const good = { alg: 'HS256', typ: 'at+jwt', kid: 'hs' };
  const [header, payload] = [raw(good), raw(claims)];
  const hs = { alg: 'HS256', key: keys.hs.secret };
  const add = (name: string, token: string): void => void tokens.push({ name, token });
  const signed = (
    name: string,
    h: Record<string, string>,
    p: Record<string, string>,
    how = hs as Parameters<typeof signText>[2],
  ): void => add(name, signText(text(h), text(p), how));
  const without = (entries: Record<string, string>, name: string): Record<string, string> =>
    Object.fromEntries(Object.entries(entries).filter(([key]) => key !== name));

  for (const field of ['alg', 'typ', 'kid']) {
    signed(`header without ${field}`, without(header, field), payload);
    for (const value of ODD_VALUES)
      signed(`header ${field} ${value.slice(0, 24)}`, { ...header, [field]: value }, payload);
  }
  for (const alg of [
    'none',
    'None',
    'NONE',
    'nOnE',
    'hs256',
    'Hs256',
    'HS256 ',
    ' HS256',
    'HS384',
    'HS512',
    'RS256',
    'PS256',
    'ES256',
    'EdDSA',
    'HS1',
    'dir',
  ]) {
    signed(`alg ${alg} over an HS256 signature`, { ...header, alg: JSON.stringify(alg) }, payload);
    add(
      `alg ${alg} with an empty signature`,
      `${b64(text({ ...header, alg: JSON.stringify(alg) }))}.${b64(text(payload))}.`,
    );
    add(`alg ${alg} with two segments`, `${b64(text({ ...header, alg: JSON.stringify(alg) }))}.${b64(text(payload))}`);
  }
  signed('alg as a list', { ...header, alg: '["HS256"]' }, payload);
  for (const size of ['384', '512'])
    signed(`HS${size} signed with the HS256 key`, { ...header, alg: `"HS${size}"` }, payload, {
      alg: `HS${size}`,
      key: keys.hs.secret,
    });
  for (const typ of [
    'JWT',
    'jwt',
    'AT+JWT',
    'At+Jwt',
    'application/at+jwt',
    'at+jwt ',
    'rt+jwt',
    'refresh',
    'dpop+jwt',
    'logout+jwt',
    'id+jwt',
  ]) {
    signed(`typ ${typ}`, { ...header, typ: JSON.stringify(typ) }, payload);
  }

  const rsPem = keys.rs.publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const rsPkcs1 = keys.rs.publicKey.export({ type: 'pkcs1', format: 'pem' }) as string;
  const rsDer = keys.rs.publicKey.export({ type: 'spki', format: 'der' });
  for (const [name, secret] of [
    ['PEM', rsPem],
    ['trimmed PEM', rsPem.trim()],
    ['PKCS#1 PEM', rsPkcs1],
    ['DER', rsDer],
    ['nothing', ''],
  ] as const) {
    for (const kid of ['rs', 'hs', 'es']) {
      signed(`HS256 keyed with the RSA public key as ${name}, kid ${kid}`, { ...header, kid: `"${kid}"` }, payload, {
        alg: 'HS256',
        key: Buffer.from(secret),
      });
    }
  }
  signed('HS256 header and signature under the RSA kid', { ...header, kid: '"rs"' }, payload);
  signed('RS256 under the HMAC kid', { ...header, alg: '"RS256"' }, payload, { alg: 'RS256', key: keys.rs.privateKey });
  signed('RS256 under the EC kid', { ...header, alg: '"RS256"', kid: '"es"' }, payload, {
    alg: 'RS256',
    key: keys.rs.privateKey,
  });
  signed('ES256 under the RSA kid', { ...header, alg: '"ES256"', kid: '"rs"' }, payload, {
    alg: 'ES256',
    key: keys.es.privateKey,
  });
  signed('RS384 with the RS256 key', { ...header, alg: '"RS384"', kid: '"rs"' }, payload, {
    alg: 'RS384',
    key: keys.rs.privateKey,
  });
  signed("RS256 signed by a stranger's key", { ...header, alg: '"RS256"', kid: '"rs"' }, payload, {
    alg: 'RS256',
    key: keys.stranger.privateKey,
  });
  for (const kid of [
    'HS',
    'hs ',
    'hs\u0000',
    '../hs',
    'unknown',
    '__proto__',
    'toString',
    '*',
    "hs' OR 1=1",
    'http://example.com/key',
  ]) {
    signed(`kid ${JSON.stringify(kid)}`, { ...header, kid: JSON.stringify(kid) }, payload);
  }

  const jwk = JSON.stringify(keys.stranger.publicKey.export({ format: 'jwk' }));
  const injections: Record<string, string[]> = {
    jwk: [jwk, 'null', '{}', '""'],
    jku: ['"https://attacker.example/jwks.json"', '"file:///etc/passwd"', '[]'],
    x5u: ['"https://attacker.example/cert.pem"', '""'],
    x5c: ['["MIIB"]', '[]', '""'],
    x5t: ['"x"'],
    'x5t#S256': ['"x"'],
    crit: ['["exp"]', '[]', '["b64"]', '"exp"', 'null', '["http://example.com/unknown"]'],
    b64: ['false', 'true'],
    zip: ['"DEF"'],
    cty: ['"JWT"'],
    enc: ['"A256GCM"'],
    iss: ['"x"'],
    unknown: ['1'],
    __proto__: ['{"alg":"none"}'],
  };
  for (const [name, values] of Object.entries(injections)) {
    for (const value of values) {
      signed(`header ${name} ${value.slice(0, 24)}`, { ...header, [name]: value }, payload);
      signed(
        `RS256 by a stranger with header ${name} ${value.slice(0, 24)}`,
        { ...header, alg: '"RS256"', kid: '"rs"', [name]: value },
        payload,
        {
          alg: 'RS256',
          key: keys.stranger.privateKey,
        },
      );
    }
  }
  for (const whole of [
    'null',
    '"x"',
    '5',
    '[]',
    'true',
    '',
    '{',
    '{}',
    '[{"alg":"HS256","typ":"at+jwt","kid":"hs"}]',
  ]) {
    add(`header ${whole || 'empty'}`, signText(whole, text(payload), hs));
    add(`payload ${whole || 'empty'}`, signText(text(header), whole, hs));
  }

  for (const claim of ['iss', 'sub', 'aud', 'sid', 'jti', 'iat', 'exp']) {
    signed(`no ${claim}`, header, without(payload, claim));
    for (const value of ODD_VALUES) {
      // A subject may be any text, and a number is a fine instant where it lies right.
      if (claim === 'sub' && /^"..*"$/.test(value)) continue;
      if (claim === 'iat' && ['0', '1.5'].includes(value)) continue;
      signed(`${claim} ${value.slice(0, 24)}`, header, { ...payload, [claim]: value });
    }
  }
  for (const value of ODD_VALUES)
    if (!['0', '1.5'].includes(value)) signed(`nbf ${value.slice(0, 24)}`, header, { ...payload, nbf: value });
  const seconds = Math.floor(now / 1000);
  signed('exp is now', header, { ...payload, exp: String(seconds) });
  signed('exp a second ago', header, { ...payload, exp: String(seconds - 1) });
  signed('exp as text', header, { ...payload, exp: `"${seconds + 600}"` });
  signed('exp in milliseconds beyond every calendar', header, { ...payload, exp: '9007199254740993' });
  signed('iat 61 seconds ahead', header, { ...payload, iat: String(seconds + 62) });
  signed('iat a day ahead', header, { ...payload, iat: String(seconds + 86_400) });
  signed('nbf a minute ahead', header, { ...payload, nbf: String(seconds + 60) });
  for (const aud of ['"another"', '["another"]', '[["api"]]', '{"0":"api"}', '"API"', '"api "', '["api",1]'])
    signed(`aud ${aud}`, header, { ...payload, aud });
  for (const iss of ['"Issuer"', '"https://issuer.example/"', '["https://issuer.example"]'])
    signed(`iss ${iss}`, header, { ...payload, iss });
  const sid = claims['sid'] as string;
  const jti = claims['jti'] as string;
  for (const value of [
    sid.toLowerCase() + 'x',
    `${sid} `,
    `${sid}\n`,
    `${sid.slice(1)}`,
    `${sid}*`,
    'x'.repeat(10_000),
  ]) {
    signed(`sid ${JSON.stringify(value.slice(0, 40))}`, header, { ...payload, sid: JSON.stringify(value) });
  }
  for (const value of [
    jti.slice(1),
    `${jti}x`,
    jti.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')),
    `${sid}.`,
    `${sid}..x`,
    `${sid}.ZZ.${'x'.repeat(16)}`,
    `${jti}\r\nx`,
  ]) {
    signed(`jti ${JSON.stringify(value.slice(0, 40))}`, header, { ...payload, jti: JSON.stringify(value) });
  }

  const valid = signText(text(header), text(payload), hs);
  const [h = '', p = '', s = ''] = valid.split('.');
  const grammar: Record<string, string> = {
    empty: '',
    'one segment': h,
    'two segments': `${h}.${p}`,
    'four segments': `${valid}.${s}`,
    'empty header': `.${p}.${s}`,
    'empty payload': `${h}..${s}`,
    'empty signature': `${h}.${p}.`,
    'JSON serialisation': JSON.stringify({ protected: h, payload: p, signature: s }),
    'leading space': ` ${valid}`,
    'trailing space': `${valid} `,
    'line break': `${valid}\n`,
    'CRLF inside': `${h}\r\n.${p}.${s}`,
    NUL: `${valid}\0`,
    padding: `${h}=.${p}.${s}`,
    'standard alphabet': `${h}.${p}.+${s.slice(1)}`,
    slash: `${h}.${p}./${s.slice(1)}`,
    quotes: `"${valid}"`,
    'a megabyte': `${h}.${'A'.repeat(1_000_000)}.${s}`,
    'just too long': `${h}.${p}.${'A'.repeat(4096)}`,
    unicode: `${h}.${p}.ё${s.slice(1)}`,
    'Bearer in the token': `Bearer ${valid}`,
    'comma list': `${valid},${valid}`,
    'signature cut': `${h}.${p}.${s.slice(0, -2)}`,
    'signature of another': `${h}.${p}.${b64(randomBytes(32))}`,
    'header and payload swapped': `${p}.${h}.${s}`,
    'number text': '12345',
    dots: '...',
    'payload of another user': `${h}.${b64(text({ ...payload, sub: '"admin"' }))}.${s}`,
    'a refresh token': `rt_${sid}.${'a'.repeat(32)}.0.${'A'.repeat(43)}`,
    'a cookie token': `st_${sid}.${'a'.repeat(32)}.0.${'A'.repeat(43)}`,
  };
  for (const [name, token] of Object.entries(grammar)) add(`grammar: ${name}`, token);
  return tokens;
}

/** The token that the hostile ones were made from. */
export function goodToken(keys: TestKeys, claims: Record<string, unknown>): string {
  return signText(JSON.stringify({ alg: 'HS256', typ: 'at+jwt', kid: 'hs' }), JSON.stringify(claims), {
    alg: 'HS256',
    key: keys.hs.secret,
  });
}
