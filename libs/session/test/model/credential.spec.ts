import { createHash, createHmac, createSecretKey } from 'node:crypto';
import fc from 'fast-check';
import { CredentialCodec, MAX_CREDENTIAL_LENGTH, secretHash, type Credential } from '../../src/model/credential.js';
import { newSessionId, userKeyOf } from '../../src/model/ids.js';
import { generateSecureSessionId } from '../../src/model/secure-id.js';

const keyOf = (text: string) => createSecretKey(createHash('sha256').update(text).digest());
const [KEY, OLD_KEY, FOREIGN_KEY] = [keyOf('key'), keyOf('old'), keyOf('foreign')];
const codec = new CredentialCodec([KEY]);

const credential: Credential = {
  kind: 'cookie',
  sessionId: newSessionId(userKeyOf('ada')),
  secret: generateSecureSessionId(),
  generation: 7,
  branch: 1_900_000_000_000,
};

const BRANCH = (1_900_000_000_000).toString(36);

/** Signs any text as the codec would: shows what the grammar refuses although its tag is good. */
function sign(body: string): string {
  return `${body}.${createHmac('sha256', KEY).update(body).digest('base64url')}`;
}

describe('CredentialCodec', () => {
  it('reads what it wrote, of either kind', () => {
    const kinds = fc.constantFrom<'cookie' | 'refresh'>('cookie', 'refresh');
    const secrets = fc.string({ unit: fc.constantFrom(...'abXY09_-~'), minLength: 1, maxLength: 256 });
    const generations = fc.integer({ min: 0, max: 999_999_999 });
    const branches = fc.option(fc.integer({ min: 0, max: 2 ** 48 - 1 }));
    fc.assert(
      fc.property(kinds, secrets, generations, branches, (kind, secret, generation, branch) => {
        const written = { ...credential, kind, secret, generation, branch };
        expect(codec.parse(codec.format(written), kind)).toEqual(written);
      }),
    );
  });

  it('writes <type>_<session id>.<secret>.<generation>.<branch>.<tag>', () => {
    const body = `st_${credential.sessionId}.${credential.secret}.7.${BRANCH}`;
    expect(codec.format(credential)).toBe(sign(body));
    expect(codec.format({ ...credential, kind: 'refresh' })).toBe(sign(`rt_${body.slice(3)}`));
  });

  it('reads tokens of the earlier format, which name no branch', () => {
    const text = sign(`st_${credential.sessionId}.${credential.secret}.7`);
    expect(codec.parse(text, 'cookie')).toEqual({ ...credential, branch: null });
    expect(codec.format({ ...credential, branch: null })).toBe(text);
  });

  it('never takes one kind for the other (ASVS 9.2.2)', () => {
    const cookie = codec.format(credential);
    const refresh = codec.format({ ...credential, kind: 'refresh' });
    expect(codec.parse(cookie, 'refresh')).toBeNull();
    expect(codec.parse(refresh, 'cookie')).toBeNull();
    expect(codec.parse(`rt${cookie.slice(2)}`, 'refresh')).toBeNull();
    expect(codec.parse(`st${refresh.slice(2)}`, 'cookie')).toBeNull();
  });

  it('refuses any change of any character (ASVS 7.2.1)', () => {
    const text = codec.format(credential);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~';
    for (let place = 0; place < text.length; place += 1) {
      for (const symbol of alphabet) {
        if (symbol === text[place]) continue;
        expect(codec.parse(text.slice(0, place) + symbol + text.slice(place + 1), 'cookie')).toBeNull();
      }
    }
  });

  it.each([
    ['the session id', { sessionId: newSessionId(userKeyOf('eve')) }],
    ['the secret', { secret: generateSecureSessionId() }],
    ['the generation', { generation: 8 }],
    ['the branch', { branch: 1_900_000_000_001 }],
    ['no branch', { branch: null }],
    ['the kind', { kind: 'refresh' as const }],
  ])('refuses the tag of another credential: %s', (_name, change) => {
    const [text, other] = [codec.format(credential), codec.format({ ...credential, ...change })];
    const spliced = other.slice(0, other.lastIndexOf('.')) + text.slice(text.lastIndexOf('.'));
    expect(codec.parse(spliced, 'cookie')).toBeNull();
    expect(codec.parse(spliced, 'refresh')).toBeNull();
  });

  it('refuses every other spelling of its tag: 43 characters carry two bits that mean nothing', () => {
    const text = codec.format(credential);
    const base64url = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const sameBytes = [...base64url].filter((last) => {
      const tag = (whole: string) => Buffer.from(whole.slice(whole.lastIndexOf('.') + 1), 'base64url');
      return tag(text.slice(0, -1) + last).equals(tag(text));
    });
    expect(sameBytes).toHaveLength(4);
    expect(sameBytes.filter((last) => codec.parse(text.slice(0, -1) + last, 'cookie') !== null)).toHaveLength(1);
  });

  const { sessionId, secret } = credential;
  const good = codec.format(credential);
  it.each([
    ['nothing', ''],
    ['one part', 'st'],
    ['no tag', good.slice(0, good.lastIndexOf('.'))],
    ['an empty tag', good.slice(0, good.lastIndexOf('.') + 1)],
    ['a tag cut short', good.slice(0, -1)],
    ['a tag padded', `${good}=`],
    ['a space before', ` ${good}`],
    ['a space after', `${good} `],
    ['a newline after', `${good}\n`],
    ['CRLF and a header after', `${good}\r\nSet-Cookie: x=1`],
    ['NUL after', `${good}\0`],
    ['quotes around', `"${good}"`],
    ['twice', `${good}${good}`],
    ['a list', `${good},${good}`],
    ['percent-encoded', encodeURIComponent(good).replace(/_/g, '%5F')],
    ['upper case', good.toUpperCase()],
    ['an unknown type', sign(`xt_${sessionId}.${secret}.7`)],
    ['a type of the prototype', sign(`constructor_${sessionId}.${secret}.7`)],
    ['no secret', sign(`st_${sessionId}..7`)],
    ['a secret with a dot', sign(`st_${sessionId}.a.b.7`)],
    ['a secret of 257 characters', sign(`st_${sessionId}.${'a'.repeat(257)}.7`)],
    ['a secret of other characters', sign(`st_${sessionId}.ż.7`)],
    ['a short session id', sign(`st_${sessionId.slice(1)}.${secret}.7`)],
    ['a long session id', sign(`st_a${sessionId}.${secret}.7`)],
    ['a session id with a star', sign(`st_*${sessionId.slice(1)}.${secret}.7`)],
    ['no number', sign(`st_${sessionId}.${secret}.`)],
    ['a negative number', sign(`st_${sessionId}.${secret}.-1`)],
    ['a number with leading zeros', sign(`st_${sessionId}.${secret}.07`)],
    ['a number with a sign', sign(`st_${sessionId}.${secret}.+7`)],
    ['a number with a fraction', sign(`st_${sessionId}.${secret}.7,0`)],
    ['a number with an exponent', sign(`st_${sessionId}.${secret}.1e3`)],
    ['a number in hexadecimal', sign(`st_${sessionId}.${secret}.0x7`)],
    ['a number too large', sign(`st_${sessionId}.${secret}.1000000000`)],
    ['a number that is none', sign(`st_${sessionId}.${secret}.NaN`)],
    ['an empty branch', sign(`st_${sessionId}.${secret}.7.`)],
    ['a branch with leading zeros', sign(`st_${sessionId}.${secret}.7.0${BRANCH}`)],
    ['a branch in upper case', sign(`st_${sessionId}.${secret}.7.${BRANCH.toUpperCase()}`)],
    ['a branch that six bytes do not hold', sign(`st_${sessionId}.${secret}.7.${(2 ** 48).toString(36)}`)],
    ['a branch of eleven characters', sign(`st_${sessionId}.${secret}.7.${'z'.repeat(11)}`)],
    ['two branches', sign(`st_${sessionId}.${secret}.7.${BRANCH}.${BRANCH}`)],
    ['over 512 characters', sign(`st_${sessionId}.${'a'.repeat(MAX_CREDENTIAL_LENGTH)}.7`)],
    ['a megabyte', 'st_'.padEnd(1_000_000, 'a')],
    ['a JWT', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.'],
    ['a number', 5],
    ['null', null],
    ['undefined', undefined],
    ['an array of one', [good]],
    ['an object', { toString: () => good }],
    ['a String object', Object(good)],
    ['a buffer', Buffer.from(good)],
  ])('refuses %s and does not throw', (_name, text) => {
    expect(codec.parse(text, 'cookie')).toBeNull();
    expect(codec.parse(text, 'refresh')).toBeNull();
  });

  it('never throws and never accepts, whatever the text', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom('st_', 'rt_', '.', 'a', '0', '7', '_', '\n', sessionId, secret) }),
    );
    fc.assert(
      fc.property(texts, (text) => expect(codec.parse(text, 'cookie')).toBeNull()),
      { numRuns: 1_000 },
    );
  });

  describe('with several keys', () => {
    it('signs by the first and recognises all: a new key signs nobody out', () => {
      const rolled = new CredentialCodec([KEY, OLD_KEY]);
      const old = new CredentialCodec([OLD_KEY]).format(credential);
      expect(rolled.parse(old, 'cookie')).toEqual(credential);
      expect(rolled.format(credential)).toBe(codec.format(credential));
      expect(new CredentialCodec([OLD_KEY, KEY]).parse(codec.format(credential), 'cookie')).toEqual(credential);
    });

    it('recognises no other', () => {
      const rolled = new CredentialCodec([KEY, OLD_KEY]);
      expect(rolled.parse(new CredentialCodec([FOREIGN_KEY]).format(credential), 'cookie')).toBeNull();
      expect(codec.parse(new CredentialCodec([OLD_KEY]).format(credential), 'cookie')).toBeNull();
    });

    it('without any writes nothing and recognises nothing', () => {
      const keyless = new CredentialCodec([]);
      expect(() => keyless.format(credential)).toThrow('needs a key');
      expect(keyless.parse(good, 'cookie')).toBeNull();
    });
  });
});

describe('secretHash', () => {
  it('is SHA-256 of the secret', () => {
    expect(secretHash('secret')).toEqual(createHash('sha256').update('secret').digest());
  });
});
