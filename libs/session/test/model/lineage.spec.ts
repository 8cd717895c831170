import { judge, newLineage, redrawn, rotated, type Lineage, type LineageVerdict } from '../../src/model/lineage.js';

const G = 30_000;
const AT = 1_900_000_000_000;
const HASH = Buffer.alloc(32, 1);
const OTHER = Buffer.alloc(32, 2);
const [CLIENT, STRANGER] = [Buffer.alloc(8, 3), Buffer.alloc(8, 4)];

const REFRESH = { grace: G, rotateAfter: G, rotateFirst: true };
const COOKIE = { grace: G, rotateAfter: Infinity, rotateFirst: false };
const RENEWING_COOKIE = { grace: G, rotateAfter: 600_000, rotateFirst: false };

function lineage(n: number, client: Buffer | null = null): Lineage {
  return { ...newLineage(HASH, AT, client), n };
}

describe('judge: the table of DESIGN.md, 5', () => {
  interface Row {
    current: number;
    presented: number;
    age: number;
    refresh: LineageVerdict;
    cookie: LineageVerdict;
    why: string;
  }

  it.each<Row>([
    { current: 0, presented: 0, age: 0, refresh: 'rotate', cookie: 'keep', why: 'never rotated' },
    { current: 0, presented: 0, age: G + 1, refresh: 'rotate', cookie: 'keep', why: 'never rotated, old' },
    { current: 3, presented: 3, age: 0, refresh: 'keep', cookie: 'keep', why: 'current, just rotated' },
    { current: 3, presented: 3, age: G, refresh: 'keep', cookie: 'keep', why: 'current, at the end of the window' },
    { current: 3, presented: 3, age: G + 1, refresh: 'rotate', cookie: 'keep', why: 'current, after the window' },
    { current: 3, presented: 2, age: 0, refresh: 'repeat', cookie: 'repeat', why: 'the one before, at once' },
    {
      current: 3,
      presented: 2,
      age: G,
      refresh: 'repeat',
      cookie: 'repeat',
      why: 'the one before, at the end of the window',
    },
    {
      current: 3,
      presented: 2,
      age: G + 1,
      refresh: 'theft',
      cookie: 'theft',
      why: 'the one before, after the window',
    },
    { current: 1, presented: 0, age: G, refresh: 'repeat', cookie: 'repeat', why: 'the first one, within the window' },
    { current: 1, presented: 0, age: G + 1, refresh: 'theft', cookie: 'theft', why: 'the first one, after the window' },
    { current: 3, presented: 1, age: 0, refresh: 'theft', cookie: 'theft', why: 'two behind' },
    { current: 9, presented: 0, age: 0, refresh: 'theft', cookie: 'theft', why: 'far behind' },
    { current: 3, presented: 4, age: 0, refresh: 'advance', cookie: 'advance', why: 'one ahead' },
    { current: 0, presented: 7, age: G + 1, refresh: 'advance', cookie: 'advance', why: 'far ahead' },
  ])('$why: refresh $refresh, cookie $cookie', ({ current, presented, age, refresh, cookie }) => {
    const token = { hash: HASH, n: presented };
    expect(judge(lineage(current), token, AT + age, REFRESH)).toBe(refresh);
    expect(judge(lineage(current), token, AT + age, COOKIE)).toBe(cookie);
    expect(judge(lineage(current), { ...token, hash: OTHER }, AT + age, REFRESH)).toBe('unknown');
    expect(judge(null, token, AT + age, REFRESH)).toBe('unknown');
  });

  it.each([
    [600_000, 'keep'],
    [600_001, 'rotate'],
  ])('a cookie with a renewal interval of 10 min, %i ms old: %s', (age, verdict) => {
    for (const n of [0, 5]) {
      expect(judge(lineage(n), { hash: HASH, n }, AT + age, RENEWING_COOKIE)).toBe(verdict);
    }
  });

  it.each([
    ['the client that rotated it', CLIENT, CLIENT, 'repeat'],
    ['another client', CLIENT, STRANGER, 'theft'],
    ['a client that does not say', CLIENT, undefined, 'repeat'],
    ['a client that is not known', CLIENT, null, 'repeat'],
    ['some client, when the first was not known', null, STRANGER, 'repeat'],
  ] as const)('the one before, within the window, from %s (CVE-2026-53512)', (_name, known, client, verdict) => {
    expect(judge(lineage(3, known), { hash: HASH, n: 2, client }, AT, REFRESH)).toBe(verdict);
  });

  it('the current token from another client is no theft: networks and browsers change', () => {
    expect(judge(lineage(3, CLIENT), { hash: HASH, n: 3, client: STRANGER }, AT, REFRESH)).toBe('keep');
    expect(judge(lineage(3, CLIENT), { hash: HASH, n: 3, client: STRANGER }, AT + G + 1, REFRESH)).toBe('rotate');
  });

  it('an age is at least 0: a clock that went backwards steals nothing and rotates nothing', () => {
    expect(judge(lineage(3), { hash: HASH, n: 2 }, AT - 1e9, REFRESH)).toBe('repeat');
    expect(judge(lineage(3), { hash: HASH, n: 3 }, AT - 1e9, REFRESH)).toBe('keep');
  });

  it('without a grace window the one before is theft as soon as time has passed', () => {
    expect(judge(lineage(3), { hash: HASH, n: 2 }, AT + 1, { ...REFRESH, grace: 0 })).toBe('theft');
  });

  it('a hash of another length is a wrong one', () => {
    for (const hash of [Buffer.alloc(0), HASH.subarray(1), Buffer.concat([HASH, HASH])]) {
      expect(judge(lineage(3), { hash, n: 3 }, AT, REFRESH)).toBe('unknown');
    }
  });
});

describe('lineages', () => {
  it('rotate: the number and the client change, the secret stays', () => {
    const before = redrawn(lineage(2, CLIENT), OTHER, AT, 5);
    expect(rotated(before, 1, AT + 9, STRANGER)).toEqual({ ...before, n: 1, rotatedAt: AT + 9, client: STRANGER });
  });

  it('redraw: a new secret from 0, and the old one remembered for as long as the step-up may be repeated', () => {
    expect(redrawn(lineage(7, CLIENT), OTHER, AT + 9, 30_000)).toEqual({
      hash: OTHER,
      n: 0,
      rotatedAt: AT + 9,
      client: CLIENT,
      previous: { hash: HASH, until: AT + 30_009 },
    });
  });

  it('redraw gives the old secret no grace: it is unknown at once (fixation, ASVS 7.2.4)', () => {
    const after = redrawn(lineage(0), OTHER, AT, 30_000);
    for (const n of [0, 1, 2]) expect(judge(after, { hash: HASH, n }, AT, REFRESH)).toBe('unknown');
    expect(judge(after, { hash: OTHER, n: 0 }, AT, COOKIE)).toBe('keep');
  });
});
