import type { BlacklistEntry, TokenBlacklist } from '../../src/ports/token-blacklist.js';

/** A blacklist under test, and its time. */
export interface BlacklistHarness {
  readonly blacklist: TokenBlacklist;
  /** The blacklist's time, epoch ms. */
  now(): Promise<number>;
  /** Resolves once it is later than this; not much later, where time runs by itself. */
  goPast(instant: number): Promise<void>;
  close(): Promise<void>;
}

export type CreateBlacklistHarness = (options: { clockTolerance: number }) => Promise<BlacklistHarness>;

const MINUTE = 60_000;

/** Anything but a non-empty text: what becomes a key must be checked, as ioredis flattens arrays and reads null as ''. */
const NO_IDS: readonly unknown[] = [
  '',
  null,
  undefined,
  5,
  [],
  ['jti'],
  {},
  { toString: () => 'jti' },
  true,
  '\uD800',
  'x'.repeat(100_000),
];

/** What a `TokenBlacklist` promises, whatever keeps it. */
export function describeTokenBlacklist(name: string, createHarness: CreateBlacklistHarness): void {
  describe(`${name} keeps the contract of TokenBlacklist`, () => {
    const opened: BlacklistHarness[] = [];
    const open = async (clockTolerance = MINUTE): Promise<BlacklistHarness> => {
      const harness = await createHarness({ clockTolerance });
      opened.push(harness);
      return harness;
    };

    afterEach(async () => {
      for (const harness of opened.splice(0)) await harness.close();
    });

    it('refuses what was added, and nothing else', async () => {
      const { blacklist, now } = await open();
      await blacklist.add('jti', (await now()) + MINUTE);
      expect(await blacklist.isBlacklisted('jti')).toBe(true);
      for (const other of ['JTI', 'jti ', 'jt', 'jtii', '*', 'j*', 'other']) {
        expect(await blacklist.isBlacklisted(other)).toBe(false);
      }
    });

    it('takes a Date as well as a number, and both are safe to repeat', async () => {
      const { blacklist, now } = await open();
      const expiresAt = (await now()) + MINUTE;
      for (let time = 0; time < 3; time += 1) {
        await blacklist.add('a', new Date(expiresAt));
        await blacklist.add('b', expiresAt);
      }
      expect([await blacklist.isBlacklisted('a'), await blacklist.isBlacklisted('b')]).toEqual([true, true]);
    });

    it('refuses until exp plus tolerance, and then forgets', async () => {
      const { blacklist, now, goPast } = await open(400);
      const expiresAt = (await now()) + 200;
      await blacklist.add('jti', expiresAt);
      await goPast(expiresAt);
      // A verifier with the same tolerance would still accept the token.
      expect(await blacklist.isBlacklisted('jti')).toBe(true);
      await goPast(expiresAt + 400);
      expect(await blacklist.isBlacklisted('jti')).toBe(false);
    });

    it('refuses a token that is revoked 50 ms before its exp, and one that is past it but within the tolerance', async () => {
      const { blacklist, now } = await open();
      await blacklist.add('soon', (await now()) + 50);
      await blacklist.add('just now', (await now()) - 1_000);
      await blacklist.add('long ago', (await now()) - 2 * MINUTE);
      expect(await blacklist.isBlacklisted('soon')).toBe(true);
      expect(await blacklist.isBlacklisted('just now')).toBe(true);
      expect(await blacklist.isBlacklisted('long ago')).toBe(false);
    });

    it('is not shortened by a second entry that expires sooner, or has expired', async () => {
      const { blacklist, now } = await open(0);
      await blacklist.add('jti', (await now()) + MINUTE);
      await blacklist.add('jti', (await now()) + 1);
      await blacklist.add('jti', (await now()) - MINUTE);
      await blacklist.addBulk([{ jti: 'jti', expiresAt: (await now()) + 1 }]);
      const later = await now();
      await opened[0]?.goPast(later + 5);
      expect(await blacklist.isBlacklisted('jti')).toBe(true);
    });

    it('takes the largest instants there are', async () => {
      const { blacklist } = await open();
      await blacklist.add('date', new Date(8.64e15));
      await blacklist.add('number', Number.MAX_SAFE_INTEGER);
      await blacklist.add('huge', 1e300);
      for (const jti of ['date', 'number', 'huge']) expect(await blacklist.isBlacklisted(jti)).toBe(true);
    });

    it('refuses instants in seconds, which would lie in 1970 and so blacklist nothing, and what is no instant', async () => {
      const { blacklist, now } = await open();
      const seconds = Math.floor((await now()) / 1000) + 900;
      for (const wrong of [
        seconds,
        1,
        NaN,
        Infinity,
        -Infinity,
        new Date(NaN),
        '2030-01-01',
        null,
        undefined,
        {},
      ] as number[]) {
        await expect(blacklist.add('jti', wrong)).rejects.toMatchObject({ code: 'invalid_argument' });
        await expect(blacklist.addBulk([{ jti: 'jti', expiresAt: wrong }])).rejects.toMatchObject({
          code: 'invalid_argument',
        });
        await expect(blacklist.isRevokedFor('ada', wrong)).rejects.toMatchObject({ code: 'invalid_argument' });
        if (wrong !== undefined) {
          await expect(blacklist.revokeAllFor('ada', { until: wrong })).rejects.toMatchObject({
            code: 'invalid_argument',
          });
        }
      }
      expect(await blacklist.isBlacklisted('jti')).toBe(false);
    });

    it.each(NO_IDS.map((value) => [value]))(
      'refuses %p as a jti, a subject and an issuer (CVE-2026-35042 and its kin)',
      async (value) => {
        const { blacklist, now } = await open();
        const until = (await now()) + MINUTE;
        const id = value as string;
        const refused = { code: 'invalid_argument' };
        await expect(blacklist.add(id, until)).rejects.toMatchObject(refused);
        await expect(
          blacklist.addBulk([
            { jti: 'sound', expiresAt: until },
            { jti: id, expiresAt: until },
          ]),
        ).rejects.toMatchObject(refused);
        await expect(blacklist.isBlacklisted(id)).rejects.toMatchObject(refused);
        await expect(blacklist.revokeAllFor(id)).rejects.toMatchObject(refused);
        await expect(blacklist.isRevokedFor(id, until)).rejects.toMatchObject(refused);
        if (value !== undefined && value !== null && value !== '') {
          await expect(blacklist.add('jti', until, { issuer: id })).rejects.toMatchObject(refused);
          await expect(blacklist.isBlacklisted('jti', { issuer: id })).rejects.toMatchObject(refused);
        }
        expect(await blacklist.isBlacklisted('sound')).toBe(false);
      },
    );

    it('keeps issuers apart, and pairs of issuer and jti that read alike when put together', async () => {
      const { blacklist, now } = await open();
      const until = (await now()) + MINUTE;
      const pairs: readonly [string, string][] = [
        ['a', 'bc'],
        ['ab', 'c'],
        ['', 'abc'],
        ['a:', 'b'],
        ['a', ':b'],
        ['a\0', 'b'],
        ['a', '\0b'],
        ['https://a', '/b'],
        ['https://a/', 'b'],
      ];
      for (const [chosen, [issuer, jti]] of pairs.entries()) {
        const { blacklist: fresh } = await open();
        await fresh.add(jti, until, { issuer });
        const found = await Promise.all(pairs.map(([iss, id]) => fresh.isBlacklisted(id, { issuer: iss })));
        expect(found).toEqual(pairs.map((_, index) => index === chosen));
      }
      await blacklist.add('jti', until, { issuer: 'https://one' });
      expect(await blacklist.isBlacklisted('jti', { issuer: 'https://two' })).toBe(false);
      expect(await blacklist.isBlacklisted('jti')).toBe(false);
      expect(await blacklist.isBlacklisted('jti', { issuer: 'https://one' })).toBe(true);
    });

    it('takes ids of any characters', async () => {
      const { blacklist, now } = await open();
      const until = (await now()) + MINUTE;
      for (const jti of ['a:b', '*', '{}', '\n', '\0', '🦔', '__proto__', 'constructor', ' ', 'x'.repeat(1_000)]) {
        expect(await blacklist.isBlacklisted(jti)).toBe(false);
        await blacklist.add(jti, until, { issuer: jti });
        expect(await blacklist.isBlacklisted(jti, { issuer: jti })).toBe(true);
      }
    });

    it('adds many at once, or none where one of them is wrong', async () => {
      const { blacklist, now } = await open();
      const expiresAt = (await now()) + MINUTE;
      const many: BlacklistEntry[] = Array.from({ length: 200 }, (_, index) => ({ jti: `jti-${index}`, expiresAt }));
      await blacklist.addBulk(many);
      await blacklist.addBulk([]);
      const found = await Promise.all(many.map(({ jti }) => blacklist.isBlacklisted(jti)));
      expect(found).toEqual(Array(200).fill(true));
      await expect(
        blacklist.addBulk([
          { jti: 'one', expiresAt },
          { jti: 'two', expiresAt: 5 },
        ]),
      ).rejects.toMatchObject({
        code: 'invalid_argument',
      });
      expect(await blacklist.isBlacklisted('one')).toBe(false);
    });

    describe('all tokens of a subject', () => {
      it('are refused where they were issued up to now; later ones, and those of others, are not', async () => {
        const { blacklist, now } = await open();
        const before = await now();
        const cutoff = await blacklist.revokeAllFor('ada');
        expect(cutoff).toBeGreaterThan(before);
        expect(cutoff).toBeLessThan((await now()) + 10_000);
        expect(await blacklist.isRevokedFor('ada', before)).toBe(true);
        expect(await blacklist.isRevokedFor('ada', new Date(cutoff - 1))).toBe(true);
        expect(await blacklist.isRevokedFor('ada', cutoff)).toBe(false);
        expect(await blacklist.isRevokedFor('bob', before)).toBe(false);
        expect(await blacklist.isRevokedFor('ada', before, { issuer: 'https://other' })).toBe(false);
      });

      it('the cutoff only ever moves forward, and repeating it is harmless', async () => {
        const { blacklist, now, goPast } = await open();
        const cutoffs: number[] = [];
        for (let time = 0; time < 5; time += 1) {
          cutoffs.push(await blacklist.revokeAllFor('ada'));
          await goPast((await now()) + 2);
        }
        expect(cutoffs).toEqual([...cutoffs].sort((a, b) => a - b));
        const latest = Math.max(...cutoffs);
        const parallel = await Promise.all(Array.from({ length: 20 }, () => blacklist.revokeAllFor('ada')));
        expect(Math.min(...parallel)).toBeGreaterThanOrEqual(latest);
        expect(await blacklist.isRevokedFor('ada', Math.max(...parallel) - 1)).toBe(true);
        expect(await blacklist.isRevokedFor('ada', Math.max(...parallel))).toBe(false);
      });

      it('are remembered until the instant given plus tolerance; a later call does not shorten that', async () => {
        const { blacklist, now, goPast } = await open(200);
        const issuedAt = await now();
        const until = issuedAt + 400;
        await blacklist.revokeAllFor('ada', { until });
        await blacklist.revokeAllFor('ada', { until: issuedAt + 1 });
        await goPast(until);
        expect(await blacklist.isRevokedFor('ada', issuedAt)).toBe(true);
        await goPast(until + 250);
        expect(await blacklist.isRevokedFor('ada', issuedAt)).toBe(false);
      });

      it('do not meet a token of the same name', async () => {
        const { blacklist, now } = await open();
        await blacklist.revokeAllFor('ada');
        expect(await blacklist.isBlacklisted('ada')).toBe(false);
        await blacklist.add('bob', (await now()) + MINUTE);
        expect(await blacklist.isRevokedFor('bob', await now())).toBe(false);
      });
    });
  });
}
