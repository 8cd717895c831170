import fc from 'fast-check';
import { deadlineOf, durationMs, epochMs, expiryReason } from '../../src/model/deadlines.js';

describe('deadlines (ASVS 7.3.1, 7.3.2)', () => {
  const idleFirst = { lastAccess: 1_000, idleTimeout: 100, expiresAt: 5_000 };
  const absoluteFirst = { lastAccess: 1_000, idleTimeout: 9_000, expiresAt: 5_000 };
  const together = { lastAccess: 1_000, idleTimeout: 4_000, expiresAt: 5_000 };

  it.each([
    ['idle', idleFirst, 1_100, 'idle'],
    ['absolute', absoluteFirst, 5_000, 'absolute'],
    ['both at once', together, 5_000, 'absolute'],
  ] as const)('%s: over at the deadline, not a millisecond before', (_name, session, deadline, reason) => {
    expect(deadlineOf(session)).toBe(deadline);
    expect(expiryReason(session, deadline - 1)).toBeNull();
    expect(expiryReason(session, deadline)).toBe(reason);
    expect(expiryReason(session, deadline + 1)).toBe(reason);
  });

  it('names the deadline that came first, however late it is asked', () => {
    expect(expiryReason(idleFirst, 1e15)).toBe('idle');
    expect(expiryReason(absoluteFirst, 1e15)).toBe('absolute');
  });

  it('a later access never makes the end come earlier, nor later than the absolute one', () => {
    const instant = fc.integer({ min: 0, max: 1_000 });
    fc.assert(
      fc.property(instant, instant, instant, instant, (lastAccess, idleTimeout, expiresAt, later) => {
        const before = { lastAccess, idleTimeout, expiresAt };
        const after = { ...before, lastAccess: lastAccess + later };
        expect(deadlineOf(after)).toBeGreaterThanOrEqual(deadlineOf(before));
        expect(deadlineOf(after)).toBeLessThanOrEqual(expiresAt);
      }),
    );
  });
});

describe('epochMs', () => {
  it('takes a Date or a number, in whole milliseconds', () => {
    expect(epochMs('at', new Date(1_900_000_000_000))).toBe(1_900_000_000_000);
    expect(epochMs('at', 1_900_000_000_000.9)).toBe(1_900_000_000_000);
    expect(epochMs('at', 0)).toBe(0);
  });

  it.each([
    ['seconds', 1_900_000_000],
    ['NaN', NaN],
    ['Infinity', Infinity],
    ['no date', new Date(NaN)],
    ['text', '2030-01-01'],
    ['null', null],
    ['undefined', undefined],
    ['BigInt', 1_900_000_000_000n],
  ])('refuses %s and names the argument', (_name, value) => {
    expect(() => epochMs('expiresAt', value)).toThrow(
      expect.objectContaining({ code: 'invalid_argument', message: expect.stringMatching(/^expiresAt: /) }),
    );
  });
});

describe('durationMs', () => {
  it('takes a whole number above 0', () => {
    expect(durationMs('idleTimeout', 1)).toBe(1);
    expect(durationMs('idleTimeout', 86_400_000)).toBe(86_400_000);
  });

  it.each([0, -1, 0.5, NaN, Infinity, 2 ** 53, '5', null, undefined])('refuses %p and names the argument', (value) => {
    expect(() => durationMs('idleTimeout', value)).toThrow(
      expect.objectContaining({ code: 'invalid_argument', message: expect.stringMatching(/^idleTimeout: /) }),
    );
  });
});
