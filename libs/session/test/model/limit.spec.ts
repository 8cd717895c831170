import fc from 'fast-check';
import {
  LIMIT_POLICIES,
  makeRoom,
  reachedLimit,
  type LimitCandidate,
  type SessionLimit,
} from '../../src/model/limit.js';
import { DEVICE_TYPES, type DeviceType } from '../../src/model/session.js';

/** Every set of sessions that could leave, evaluated one by one: the fewest, and among those the weakest. */
function bruteForce(live: readonly LimitCandidate[], type: DeviceType, limit: SessionLimit): string[] | 'reject' {
  const by = limit.onLimit === 'evict-oldest' ? 'createdAt' : 'lastAccess';
  const weakestFirst = [...live].sort((a, b) => a[by] - b[by] || (a.sid < b.sid ? -1 : 1));
  const fits = (staying: readonly LimitCandidate[]): boolean =>
    staying.length + 1 <= limit.max &&
    staying.filter(({ deviceType }) => deviceType === type).length + 1 <= (limit.maxOfType ?? Infinity);
  if (limit.onLimit === 'reject') return fits(live) ? [] : 'reject';
  let best: number | null = null;
  const size = (set: number): number => set.toString(2).replaceAll('0', '').length;
  for (let set = 0; set < 2 ** live.length; set += 1) {
    const staying = weakestFirst.filter((_, index) => (set & (1 << index)) === 0);
    // Of two sets of one size the smaller number spares the stronger sessions.
    if (fits(staying) && (best === null || size(set) < size(best))) best = set;
  }
  const leaving = best ?? 0;
  return weakestFirst.filter((_, index) => (leaving & (1 << index)) !== 0).map(({ sid }) => sid);
}

const candidates = fc.uniqueArray(
  fc.record({
    sid: fc.string({ unit: fc.constantFrom('a', 'b', 'c', '-', '_', 'Z', '0'), minLength: 4, maxLength: 4 }),
    createdAt: fc.nat(5),
    lastAccess: fc.nat(5),
    deviceType: fc.constantFrom<DeviceType>(...DEVICE_TYPES),
  }),
  { selector: ({ sid }) => sid, maxLength: 8 },
);

const limits = fc.record<SessionLimit>(
  {
    max: fc.integer({ min: 1, max: 9 }),
    maxOfType: fc.integer({ min: 1, max: 4 }),
    onLimit: fc.constantFrom(...LIMIT_POLICIES),
  },
  { requiredKeys: ['max', 'onLimit'] },
) as fc.Arbitrary<SessionLimit>;

describe('makeRoom (ASVS 7.1.2)', () => {
  it('chooses as trying out every set of sessions would', () => {
    fc.assert(
      fc.property(candidates, fc.constantFrom(...DEVICE_TYPES), limits, (live, type, limit) => {
        const chosen = makeRoom(live, type, limit);
        const expected = bruteForce(live, type, limit);
        expect(chosen === 'reject' ? chosen : [...chosen].sort()).toEqual(
          expected === 'reject' ? expected : expected.sort(),
        );
      }),
      { numRuns: 1_000, seed: 1 },
    );
  });

  it('changes nothing that it is given', () => {
    const live: LimitCandidate[] = ['c', 'a', 'b'].map((sid, index) => ({
      sid,
      createdAt: 9 - index,
      lastAccess: index,
      deviceType: 'mobile',
    }));
    const before = structuredClone(live);
    makeRoom(Object.freeze(live), 'mobile', { max: 1, maxOfType: 1, onLimit: 'evict-oldest' });
    expect(live).toEqual(before);
  });

  it('lets ties fall to the smaller sid, so that every adapter chooses alike', () => {
    const live = ['b', 'a', 'Z', '_'].map((sid) => ({
      sid,
      createdAt: 1,
      lastAccess: 1,
      deviceType: 'unknown' as const,
    }));
    expect(makeRoom(live, 'unknown', { max: 3, onLimit: 'evict-oldest' })).toEqual(['Z', '_']);
  });
});

describe('reachedLimit', () => {
  const limit = { max: 2, maxOfType: 1, onLimit: 'reject' } as const;
  const [full, pending] = [{}, { pending: true as const }];
  const impersonated = { actor: { userId: 'root', sessionId: 's' } };

  it('is that of the device type as long as fewer sessions count than the user may have', () => {
    expect(reachedLimit(limit, [full])).toBe(1);
    expect(reachedLimit(limit, [full, full])).toBe(2);
    expect(reachedLimit({ max: 2, onLimit: 'reject' }, [full])).toBe(2);
  });

  it('takes no account of sessions that count towards neither: pending and impersonated ones', () => {
    expect(reachedLimit(limit, [full, pending, pending])).toBe(1);
    expect(reachedLimit(limit, [full, impersonated])).toBe(1);
  });
});
