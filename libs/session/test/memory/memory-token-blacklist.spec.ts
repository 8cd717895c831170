import { MemoryTokenBlacklist } from '../../src/memory/memory-token-blacklist.js';

const START = 1_800_000_000_000;

function blacklist(clockTolerance?: number) {
  const time = { now: START };
  const list = new MemoryTokenBlacklist({
    clock: () => time.now,
    ...(clockTolerance !== undefined && { clockTolerance }),
  });
  return { list, time };
}

describe('MemoryTokenBlacklist', () => {
  it('refuses a token until its exp plus tolerance, to the millisecond and rounded up', async () => {
    const { list, time } = blacklist(5_000);
    await list.add('a', START + 50);
    await list.add('b', START + 50.2);
    await list.add('c', new Date(START + 50));
    time.now = START + 50 + 4_999;
    expect(await Promise.all(['a', 'b', 'c', 'd'].map((jti) => list.isBlacklisted(jti)))).toEqual([
      true,
      true,
      true,
      false,
    ]);
    time.now += 1;
    expect(await Promise.all(['a', 'b', 'c'].map((jti) => list.isBlacklisted(jti)))).toEqual([false, true, false]);
    time.now += 1;
    expect(await list.isBlacklisted('b')).toBe(false);
  });

  it('has a tolerance of a minute unless told otherwise', async () => {
    const { list, time } = blacklist();
    await list.add('a', START + 1);
    time.now = START + 60_000;
    expect(await list.isBlacklisted('a')).toBe(true);
    time.now += 1;
    expect(await list.isBlacklisted('a')).toBe(false);
  });

  it('tells issuers apart, also where the names run into each other', async () => {
    const { list } = blacklist();
    await list.add('c', START + 1000, { issuer: 'ab' });
    for (const [jti, issuer, expected] of [
      ['c', 'ab', true],
      ['bc', 'a', false],
      ['c', undefined, false],
      ['abc', '', false],
      ['c', 'AB', false],
    ] as const) {
      expect(await list.isBlacklisted(jti, issuer === undefined ? {} : { issuer })).toBe(expected);
    }
  });

  it('keeps the later deadline when a token is added twice', async () => {
    const { list, time } = blacklist(0);
    await list.add('a', START + 1000);
    await list.add('a', START + 10);
    time.now = START + 999;
    expect(await list.isBlacklisted('a')).toBe(true);
  });

  it('adds all of a list or, where one entry is wrong, none', async () => {
    const { list } = blacklist();
    await list.addBulk([
      { jti: 'a', expiresAt: START + 10 },
      { jti: 'b', expiresAt: START + 10, issuer: 'i' },
    ]);
    expect([await list.isBlacklisted('a'), await list.isBlacklisted('b', { issuer: 'i' })]).toEqual([true, true]);
    await expect(
      list.addBulk([
        { jti: 'c', expiresAt: START + 10 },
        { jti: 'd', expiresAt: 1_800_000_000 },
      ]),
    ).rejects.toThrow('seconds');
    expect(await list.isBlacklisted('c')).toBe(false);
  });

  it.each([
    ['', START],
    [5, START],
    [null, START],
    [['a'], START],
    ['a', 1_800_000_000],
    ['a', NaN],
    ['a', '2027'],
    ['a', new Date('x')],
    ['a', undefined],
  ])('refuses %p until %p', async (jti, expiresAt) => {
    const { list } = blacklist();
    await expect(list.add(jti as string, expiresAt as number)).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('refuses all tokens of a subject issued so far, and never takes that back', async () => {
    const { list, time } = blacklist(1000);
    expect(await list.isRevokedFor('ann', START)).toBe(false);
    const cutoff = await list.revokeAllFor('ann', { until: START + 5000 });
    expect(cutoff).toBeGreaterThan(START);
    expect([
      await list.isRevokedFor('ann', START),
      await list.isRevokedFor('ann', cutoff),
      await list.isRevokedFor('bob', START),
    ]).toEqual([true, false, false]);
    expect(await list.isRevokedFor('ann', START, { issuer: 'other' })).toBe(false);
    time.now = START - 3_600_000;
    expect(await list.revokeAllFor('ann', { until: START + 10 })).toBeGreaterThanOrEqual(cutoff);
    time.now = START + 5999;
    expect(await list.isRevokedFor('ann', START)).toBe(true);
    time.now = START + 6000;
    expect(await list.isRevokedFor('ann', START)).toBe(false);
  });

  it('forgets what is due while it takes in more, so that it does not grow for ever', async () => {
    const { list, time } = blacklist(0);
    for (let i = 0; i < 5000; i += 1) {
      await list.add(`token ${i}`, time.now + 100);
      await list.revokeAllFor(`subject ${i}`, { until: time.now + 100 });
      time.now += 1;
    }
    expect(list.size).toBeLessThan(2 * 150);
    expect(await list.isBlacklisted('token 4999')).toBe(true);
    expect(await list.isBlacklisted('token 4905')).toBe(true);
  });
});
