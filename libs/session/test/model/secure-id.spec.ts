import { newSessionId, userKeyOf } from '../../src/model/ids.js';
import {
  ALPHANUMERIC,
  idShapeProblem,
  drawId,
  generateSecureSessionId,
  MINIMUM_ID_BITS,
} from '../../src/model/secure-id.js';

/** How often each symbol of an alphabet stands in texts that hold no other. */
class Histogram {
  private readonly counts = new Float64Array(65_536);
  private total = 0;

  add(text: string): void {
    for (let i = 0; i < text.length; i += 1) this.counts[text.charCodeAt(i)]! += 1;
    this.total += text.length;
  }

  of(alphabet: string): number[] {
    const counts = [...alphabet].map((symbol) => this.counts[symbol.charCodeAt(0)] ?? 0);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(this.total);
    return counts;
  }
}

function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

/** What chi-square exceeds with a probability of 1e-7 where every symbol is equally likely (Wilson and Hilferty). */
function bound(symbols: number): number {
  const freedom = symbols - 1;
  const z = 5.2;
  // The approximation is loose at one degree of freedom, where z² is exact (two-sided, 2e-7).
  return freedom === 1 ? z ** 2 : freedom * (1 - 2 / (9 * freedom) + z * Math.sqrt(2 / (9 * freedom))) ** 3;
}

const DIGIT = Array.from({ length: 128 }, (_, code) => ALPHANUMERIC.indexOf(String.fromCharCode(code)));

/** Five characters of A-Za-z0-9 as a number below 2^30. */
function base62(text: string, from: number): number {
  let value = 0;
  for (let i = from; i < from + 5; i += 1) value = value * 62 + (DIGIT[text.charCodeAt(i)] ?? NaN);
  return value;
}

describe('generateSecureSessionId', () => {
  describe('a million of them (ASVS 7.2.3)', () => {
    const symbols = new Histogram();
    // Ten characters of each id, as two numbers of 30 bits: a set of a million strings would take many times as long.
    const halves = new Uint32Array(2_000_000);

    beforeAll(() => {
      for (let i = 0; i < 1_000_000; i += 1) {
        const id = generateSecureSessionId();
        symbols.add(id);
        halves[2 * i] = base62(id, 0);
        halves[2 * i + 1] = base62(id, 5);
      }
    }, 120_000);

    it('has no duplicate, not even in the first ten characters', () => {
      const sorted = new BigUint64Array(halves.buffer).sort();
      expect(sorted.filter((value, index) => value === sorted[index - 1])).toHaveLength(0);
    });

    it('uses every symbol equally often: no modulo bias', () => {
      expect(chiSquare(symbols.of(ALPHANUMERIC))).toBeLessThan(bound(62));
    });
  });

  it('has 32 characters of A-Za-z0-9 unless asked otherwise', () => {
    expect(generateSecureSessionId()).toMatch(/^[A-Za-z0-9]{32}$/);
    expect(generateSecureSessionId({ length: 128, alphabet: '01' })).toMatch(/^[01]{128}$/);
    expect(generateSecureSessionId({ length: 22 })).toMatch(/^[A-Za-z0-9]{22}$/);
  });

  it.each([
    [{ length: 21 }, /length: gives 125 bits.*use 22 characters/],
    [{ length: 31, alphabet: '0123456789abcdef' }, /length: gives 124 bits.*use 32 characters/],
    [{ length: 38, alphabet: '0123456789' }, /use 39 characters/],
    [{ length: 0 }, /^length: /],
    [{ length: -32 }, /^length: /],
    [{ length: 32.5 }, /^length: /],
    [{ length: NaN }, /^length: /],
    [{ length: Infinity }, /^length: /],
    [{ length: 257 }, /^length: /],
    [{ length: '32' as unknown as number }, /^length: /],
    [{ alphabet: '' }, /^alphabet: /],
    [{ alphabet: 'a' }, /^alphabet: /],
    [{ alphabet: `${ALPHANUMERIC}A` }, /^alphabet: must not repeat/],
    [{ alphabet: '🦔🦊' }, /^alphabet: must not repeat/],
    [{ alphabet: [...ALPHANUMERIC] as unknown as string }, /^alphabet: /],
  ])('refuses %j (ASVS 7.2.3)', (options, message) => {
    let refusal: unknown;
    try {
      generateSecureSessionId(options);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toMatchObject({ code: 'invalid_argument', message: expect.stringMatching(message) });
  });

  it('accepts exactly what has 128 bits or more, and says how long it must be', () => {
    for (let size = 2; size <= 62; size += 1) {
      const alphabet = ALPHANUMERIC.slice(0, size);
      const needed = Math.ceil(MINIMUM_ID_BITS / Math.log2(size));
      expect(idShapeProblem(needed, alphabet)).toBeNull();
      expect(idShapeProblem(needed - 1, alphabet)?.expected).toContain(`use ${needed} characters`);
    }
  });
});

describe('drawId', () => {
  const ALL = Array.from({ length: 256 }, (_, index) => String.fromCharCode(0x100 + index)).join('');

  it.each([2, 3, 10, 16, 62, 64, 129, 200, 255, 256])('draws each of %i symbols equally often (ASVS 7.2.3)', (size) => {
    const alphabet = ALL.slice(0, size);
    const texts = Array.from({ length: 2_000 }, () => drawId(250, alphabet));
    expect(texts.every((text) => text.length === 250)).toBe(true);
    const symbols = new Histogram();
    for (const text of texts) symbols.add(text);
    expect(chiSquare(symbols.of(alphabet))).toBeLessThan(bound(size));
  });

  it('is held to a bound that a modulo without rejection would break', () => {
    const biased = Array.from({ length: 62 }, (_, symbol) => (symbol < 256 % 62 ? 5 : 4) * (1_000_000 / 256));
    expect(chiSquare(biased)).toBeGreaterThan(10 * bound(62));
  });

  it('draws each position on its own: every symbol stands at every place', () => {
    const places = Array.from({ length: 32 }, () => new Set<string>());
    for (let i = 0; i < 2_000; i += 1)
      [...drawId(32, ALPHANUMERIC)].forEach((symbol, place) => places[place]?.add(symbol));
    expect(places.map(({ size }) => size)).toEqual(Array(32).fill(62));
  });
});

describe('newSessionId', () => {
  it('names the user’s record, then 96 bits of its own: no duplicate in 100,000', () => {
    const userKey = userKeyOf('ada');
    const ids = new Set<string>();
    for (let i = 0; i < 100_000; i += 1) ids.add(newSessionId(userKey));
    expect(ids.size).toBe(100_000);
    for (const id of [...ids].slice(0, 100)) expect(id).toMatch(/^[A-Za-z0-9_-]{32}$/);
    expect([...ids].every((id) => id.startsWith(userKey))).toBe(true);
  });
});
