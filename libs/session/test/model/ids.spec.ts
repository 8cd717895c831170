import { createHash } from 'node:crypto';
import fc from 'fast-check';
import {
  assertUserId,
  deviceHashOf,
  isSessionId,
  isWellFormed,
  newSessionId,
  sidOf,
  userKeyOf,
  userKeyOfSession,
} from '../../src/model/ids.js';

const anyText = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 });

describe('userKeyOf', () => {
  it('is the first 96 bits of SHA-256 over the length-prefixed tenant and user id: stored data depends on it', () => {
    const bytes = Buffer.concat([
      Buffer.from([0, 0, 0, 2]),
      Buffer.from('tą'.slice(0, 1) + 'x'),
      Buffer.from([0, 0, 0, 3]),
      Buffer.from('ada'),
    ]);
    expect(userKeyOf('ada', 'tx')).toBe(createHash('sha256').update(bytes).digest('base64url').slice(0, 16));
    expect(userKeyOf('ada')).toBe('mYfhoiYI2KlKuFFf');
  });

  it('lets no tenant and user id be mistaken for another pair, wherever one ends and the other begins', () => {
    fc.assert(
      fc.property(fc.array(anyText, { minLength: 2, maxLength: 6 }), (parts) => {
        const whole = parts.join('');
        const keys = new Set<string>();
        const pairs = new Set<string>();
        for (let cut = 0; cut < whole.length; cut += 1) {
          const [tenant, userId] = [whole.slice(0, cut), whole.slice(cut)];
          if (!isWellFormed(tenant) || !isWellFormed(userId)) continue;
          keys.add(userKeyOf(userId, tenant));
          pairs.add(JSON.stringify([tenant, userId]));
        }
        expect(keys.size).toBe(pairs.size);
      }),
    );
  });

  it('is 16 characters that are safe in a key, whatever the user id', () => {
    fc.assert(fc.property(anyText, (userId) => expect(userKeyOf(userId)).toMatch(/^[A-Za-z0-9_-]{16}$/)));
  });
});

describe('assertUserId', () => {
  it.each([
    ['null', null],
    ['undefined', undefined],
    ['the empty string', ''],
    ['a number', 5],
    ['an array', ['ada']],
    ['an object', { toString: () => 'ada' }],
    ['a lone high surrogate', '\uD800'],
    ['a lone low surrogate', 'a\uDC00'],
    ['surrogates in the wrong order', '\uDC00\uD800'],
  ])('refuses %s (ASVS 15.3.5)', (_name, value) => {
    expect(() => assertUserId(value)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it('accepts any other text', () => {
    fc.assert(fc.property(anyText, (userId) => expect(() => assertUserId(userId)).not.toThrow()));
  });
});

describe('isWellFormed', () => {
  it('agrees with the engine about every mixture of surrogates', () => {
    const unit = fc.constantFrom('a', '\uD800', '\uDBFF', '\uDC00', '\uDFFF', '🦔', '\n');
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 8 }), (units) => {
        const text = units.join('') as string & { isWellFormed(): boolean };
        expect(isWellFormed(text)).toBe(text.isWellFormed());
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('session ids', () => {
  it('come apart into the parts they were made of', () => {
    const userKey = userKeyOf('ada');
    for (let i = 0; i < 100; i += 1) {
      const id = newSessionId(userKey);
      expect(isSessionId(id)).toBe(true);
      expect(userKeyOfSession(id)).toBe(userKey);
      expect(userKeyOfSession(id) + sidOf(id)).toBe(id);
      expect(sidOf(id)).toHaveLength(16);
    }
  });

  it.each([
    ['empty', ''],
    ['too short', 'a'.repeat(31)],
    ['too long', 'a'.repeat(33)],
    ['with a newline at the end', `${'a'.repeat(31)}\n`],
    ['followed by a newline', `${'a'.repeat(32)}\n`],
    ['on a line of its own', `x\n${'a'.repeat(32)}`],
    ['NUL', `${'a'.repeat(31)}\0`],
    ['base64, not base64url', `${'a'.repeat(31)}+`],
    ['stars', '*'.repeat(32)],
    ['letters of another script', 'а'.repeat(32)],
    ['a number', 12_345],
    ['an array of one', ['a'.repeat(32)]],
    ['an object', { length: 32, toString: () => 'a'.repeat(32) }],
    ['null', null],
  ])('are not: %s (ASVS 15.3.5)', (_name, value) => {
    expect(isSessionId(value)).toBe(false);
  });
});

describe('deviceHashOf', () => {
  it('is 96 bits, the same for the same device id, and another one for another', () => {
    expect(deviceHashOf('phone')).toHaveLength(12);
    expect(deviceHashOf('phone')).toEqual(deviceHashOf('phone'));
    const devices = ['phone', 'Phone', 'phone ', '', 'é', 'e\u0301', '\0'];
    expect(new Set(devices.map((device) => deviceHashOf(device).toString('hex'))).size).toBe(devices.length);
  });
});
