import {
  evaluate,
  familyAfter,
  inUse,
  newTokenFamily,
  redrawn,
  type FamilyVerdict,
  type Presented,
  type RotationRule,
  type TokenFamily,
} from '../../src/model/token-family.js';

const G = 30_000;
const AT = 1_900_000_000_000;
const [PARENT, REPLACED, OLDER] = [AT - 900_000, AT - 100_000, AT - 500_000];
const HASH = Buffer.alloc(32, 1);
const OTHER = Buffer.alloc(32, 2);
const [CLIENT, STRANGER] = [Buffer.alloc(8, 3), Buffer.alloc(8, 4)];

const REFRESH: RotationRule = { grace: G, rotateAfter: G, rotateFirst: true };
const COOKIE: RotationRule = { grace: G, rotateAfter: Infinity, rotateFirst: false };
const ROTATING_COOKIE: RotationRule = { grace: G, rotateAfter: 600_000, rotateFirst: false };

/** In its third generation, with a branch of it replaced, and never seen in use. */
const UNUSED: TokenFamily = {
  ...newTokenFamily(HASH, AT),
  generation: 3,
  parentBranch: PARENT,
  replacedBranch: REPLACED,
  inUse: false,
};
const USED = inUse(UNUSED);
const FIRST = newTokenFamily(HASH, AT);

function token(generation: number, branch: number | null, more: Partial<Presented> = {}): Presented {
  return { hash: HASH, generation, branch, ...more };
}

describe('evaluate: the table of docs/architecture.md', () => {
  interface Row {
    why: string;
    family: TokenFamily;
    presented: Presented;
    /** Within the grace window, and after it. */
    refresh: [FamilyVerdict, FamilyVerdict];
    cookie: [FamilyVerdict, FamilyVerdict];
  }

  const same = (verdict: FamilyVerdict): [FamilyVerdict, FamilyVerdict] => [verdict, verdict];
  const current: Pick<Row, 'refresh' | 'cookie'> = { refresh: ['keep', 'rotate'], cookie: same('keep') };
  const both = (verdicts: [FamilyVerdict, FamilyVerdict]) => ({ refresh: verdicts, cookie: verdicts });
  const rows: Row[] = [
    { why: 'never rotated', family: FIRST, presented: token(0, AT), refresh: same('rotate'), cookie: same('keep') },
    { why: 'current, unused', family: UNUSED, presented: token(3, AT), ...current },
    { why: 'current, used', family: USED, presented: token(3, AT), ...current },
    { why: 'current, of no branch', family: USED, presented: token(3, null), ...current },
    { why: 'the branch replaced last', family: UNUSED, presented: token(3, REPLACED), ...both(same('repeat')) },
    { why: 'the same, used', family: USED, presented: token(3, REPLACED), ...both(['repeat', 'reuse']) },
    { why: 'an earlier branch', family: UNUSED, presented: token(3, OLDER), ...both(same('reuse')) },
    { why: 'a later branch', family: UNUSED, presented: token(3, AT + 1), ...both(same('advance')) },
    { why: 'one back', family: UNUSED, presented: token(2, PARENT), ...both(['repeat', 'branch']) },
    { why: 'one back, used', family: USED, presented: token(2, PARENT), ...both(['repeat', 'reuse']) },
    { why: 'one back, of no branch', family: UNUSED, presented: token(2, null), ...both(['repeat', 'branch']) },
    { why: 'one back, another branch', family: UNUSED, presented: token(2, PARENT + 1), ...both(same('reuse')) },
    {
      why: 'one back, any where the parent is unknown',
      family: { ...UNUSED, parentBranch: null },
      presented: token(2, 5),
      ...both(['repeat', 'branch']),
    },
    { why: 'two back', family: UNUSED, presented: token(1, PARENT), ...both(same('reuse')) },
    { why: 'two back, of no branch', family: UNUSED, presented: token(1, null), ...both(same('reuse')) },
    { why: 'one ahead', family: USED, presented: token(4, AT - 1), ...both(same('advance')) },
    { why: 'far ahead, of no branch', family: FIRST, presented: token(9, null), ...both(same('advance')) },
  ];

  it.each(rows)('$why: refresh $refresh, cookie $cookie', ({ family, presented, refresh, cookie }) => {
    const verdicts = (rule: RotationRule) => [0, G, G + 1].map((age) => evaluate(family, presented, AT + age, rule));
    const [within, after] = refresh;
    expect(verdicts(REFRESH)).toEqual([within, within, after]);
    expect(verdicts(COOKIE)).toEqual([cookie[0], cookie[0], cookie[1]]);
    expect(evaluate(family, { ...presented, hash: OTHER }, AT, REFRESH)).toBe('unknown');
    expect(evaluate(null, presented, AT, REFRESH)).toBe('unknown');
  });

  it.each(rows)('$why: under after-grace nothing replaced is good past the window', ({ family, presented }) => {
    const rule = { ...REFRESH, reuseDetection: 'after-grace' } as const;
    expect(evaluate(family, presented, AT, rule)).toBe(evaluate(inUse(family), presented, AT, REFRESH));
    expect(evaluate(family, presented, AT + G + 1, rule)).toBe(evaluate(inUse(family), presented, AT + G + 1, REFRESH));
  });

  it.each([
    [600_000, 'keep'],
    [600_001, 'rotate'],
  ])('a cookie with a rotation interval of 10 min, %i ms old: %s', (age, verdict) => {
    for (const family of [FIRST, UNUSED, USED]) {
      expect(evaluate(family, token(family.generation, AT), AT + age, ROTATING_COOKIE)).toBe(verdict);
    }
  });

  it.each([
    ['the client that rotated it', CLIENT, CLIENT, false],
    ['another client', CLIENT, STRANGER, true],
    ['a client that does not say', CLIENT, undefined, false],
    ['a client that is not known', CLIENT, null, false],
    ['some client, when the first was not known', null, STRANGER, false],
  ] as const)('a replaced token from %s (CVE-2026-53512)', (_name, known, client, isOther) => {
    const family = { ...UNUSED, client: known };
    for (const [presented, verdict] of [
      [token(2, PARENT, { client }), 'branch'],
      [token(3, REPLACED, { client }), 'repeat'],
    ] as const) {
      expect(evaluate(family, presented, AT + G + 1, REFRESH)).toBe(isOther ? 'reuse' : verdict);
      expect(evaluate(family, presented, AT + G + 1, { ...REFRESH, clientBound: false })).toBe(verdict);
    }
  });

  it('the current token from another client is no reuse: networks and browsers change', () => {
    const presented = token(3, AT, { client: STRANGER });
    expect(evaluate({ ...UNUSED, client: CLIENT }, presented, AT, REFRESH)).toBe('keep');
    expect(evaluate({ ...UNUSED, client: CLIENT }, presented, AT + G + 1, REFRESH)).toBe('rotate');
  });

  it('an age is at least 0: a clock that went backwards reuses nothing and rotates nothing', () => {
    expect(evaluate(USED, token(2, PARENT), AT - 1e9, REFRESH)).toBe('repeat');
    expect(evaluate(USED, token(3, AT), AT - 1e9, REFRESH)).toBe('keep');
  });

  it('without a grace window a replaced token is reuse as soon as time has passed, once its successor was used', () => {
    expect(evaluate(USED, token(2, PARENT), AT + 1, { ...REFRESH, grace: 0 })).toBe('reuse');
    expect(evaluate(UNUSED, token(2, PARENT), AT + 1, { ...REFRESH, grace: 0 })).toBe('branch');
  });

  it('a hash of another length is a wrong one', () => {
    for (const hash of [Buffer.alloc(0), HASH.subarray(1), Buffer.concat([HASH, HASH])]) {
      expect(evaluate(USED, token(3, AT, { hash }), AT, REFRESH)).toBe('unknown');
    }
  });
});

describe('familyAfter', () => {
  const before = { ...UNUSED, client: CLIENT, previous: { hash: OTHER, until: AT + 5 } };
  const after = (verdict: FamilyVerdict, presented: Presented, now = AT + 9): TokenFamily =>
    familyAfter(before, verdict, presented, now);

  it('rotate: the generation, its branch and the client change, the secret stays', () => {
    expect(after('rotate', token(3, AT, { client: STRANGER }))).toEqual({
      ...before,
      generation: 4,
      branch: AT + 9,
      parentBranch: AT,
      replacedBranch: null,
      inUse: false,
      client: STRANGER,
    });
  });

  it('branch: another token of the generation, and the one it replaces is remembered', () => {
    expect(after('branch', token(2, PARENT))).toEqual({ ...before, branch: AT + 9, replacedBranch: AT });
  });

  it('advance: the parent is unknown, and what is presented is in use', () => {
    const taken = { ...before, parentBranch: null, inUse: true };
    expect(after('advance', token(7, AT + 4))).toEqual({
      ...taken,
      generation: 7,
      branch: AT + 4,
      replacedBranch: null,
    });
    expect(after('advance', token(3, AT + 4))).toEqual({ ...taken, branch: AT + 4, replacedBranch: AT });
    expect(after('advance', token(7, null))).toEqual({ ...taken, generation: 7, branch: AT + 9, replacedBranch: null });
  });

  it('keep: in use; repeat: as it was', () => {
    expect(after('keep', token(3, AT))).toEqual({ ...before, inUse: true });
    expect(after('repeat', token(2, PARENT))).toBe(before);
  });

  it('a branch is later than every branch before it, whatever the clock says', () => {
    for (const verdict of ['rotate', 'branch'] as const) {
      for (const now of [AT, AT - 1e9]) expect(after(verdict, token(3, AT), now).branch).toBe(AT + 1);
    }
    expect(redrawn(before, OTHER, AT - 1e9, 5).branch).toBe(AT + 1);
  });
});

describe('redrawn', () => {
  it('a new secret from 0, and the old one remembered for as long as the step-up may be repeated', () => {
    expect(redrawn({ ...UNUSED, client: CLIENT }, OTHER, AT + 9, 30_000)).toEqual({
      ...newTokenFamily(OTHER, AT + 9, CLIENT),
      previous: { hash: HASH, until: AT + 30_009 },
    });
  });

  it('gives the old secret no grace: it is unknown at once (fixation, ASVS 7.2.4)', () => {
    const after = redrawn(FIRST, OTHER, AT, 30_000);
    for (const n of [0, 1, 2]) expect(evaluate(after, token(n, null), AT, REFRESH)).toBe('unknown');
    expect(evaluate(after, token(0, AT + 1, { hash: OTHER }), AT, COOKIE)).toBe('keep');
  });
});
