import fc from 'fast-check';
import { NearCache, type NearCacheSettings } from '../../src/near-cache/near-cache.js';

const MAX_STALE = 5_000;

interface Value {
  readonly text: string;
}

/** A cache whose clocks stand still until a test moves them. */
function open(settings: Partial<NearCacheSettings<Value>> = {}) {
  const time = { monotonic: 1_000, wall: 1_700_000_000_000 };
  const cache = new NearCache<Value>({
    maxEntries: 100,
    maxStale: MAX_STALE,
    clock: { monotonic: () => time.monotonic, wall: () => time.wall },
    ...settings,
  });
  const watch = cache.watch();
  watch.onHeard();
  const pass = (ms: number): void => {
    time.monotonic += ms;
    time.wall += ms;
  };
  const keep = async (key: string, text = key, group = 'user'): Promise<unknown> =>
    cache.read(
      key,
      group,
      async () => text,
      (answer) => ({ text: answer }),
    );
  return { cache, watch, time, pass, keep };
}

/** An answer that comes when the test says so. */
function slow(): { ask: () => Promise<string>; answer: (text: string) => void } {
  let answer: (text: string) => void = () => undefined;
  const answered = new Promise<string>((resolve) => {
    answer = resolve;
  });
  return { ask: () => answered, answer };
}

describe('NearCache', () => {
  it('finds what was read, and counts', async () => {
    const { cache, keep } = open({ holds: ({ text }, at) => text === 'a' && at < 5 });
    expect(cache.find('a')).toBeNull();
    await keep('a');
    expect(cache.find('a')).toEqual({ text: 'a' });
    expect(cache.find('a', 5)).toBeNull();
    expect(cache.counts).toEqual({ hit: 1, miss: 2, bypassed: 0 });
  });

  it.each<[string, (cache: NearCache<Value>, watch: ReturnType<NearCache<Value>['watch']>) => unknown]>([
    ['a message for the group', (cache) => cache.invalidate('user')],
    ['a message for all', (cache) => cache.clear()],
    ['a break', (_, watch) => [watch.onLost(), watch.onHeard()]],
    ['the end of a break', (_, watch) => watch.onHeard()],
    ['a change by this instance', (cache) => cache.change('user', async () => undefined)],
  ])('%s that came while the answer was under way keeps the answer out', async (_, happen) => {
    const { cache, watch, keep } = open();
    const { ask, answer } = slow();
    const reading = cache.read('a', 'user', ask, (text) => ({ text }));
    await happen(cache, watch);
    answer('from before');
    expect(await reading).toBe('from before');
    expect(cache.find('a')).toBeNull();
    await keep('a', 'from after');
    expect(cache.find('a')).toEqual({ text: 'from after' });
  });

  it('a message for another group keeps nothing out', async () => {
    const { cache } = open();
    const { ask, answer } = slow();
    const reading = cache.read('a', 'user', ask, (text) => ({ text }));
    cache.invalidate('somebody else');
    answer('true');
    await reading;
    expect(cache.find('a')).toEqual({ text: 'true' });
  });

  it('a change voids the group when it begins and when it ends, also where it fails', async () => {
    const { cache, keep } = open();
    await keep('a');
    const failing = cache.change('user', async () => {
      expect(cache.find('a')).toBeNull();
      await keep('a');
      throw new Error('no answer');
    });
    await expect(failing).rejects.toThrow('no answer');
    expect(cache.find('a')).toBeNull();
  });

  it('counts the age from the question, not from the answer', async () => {
    const { cache, pass } = open();
    const { ask, answer } = slow();
    const reading = cache.read('a', 'user', ask, (text) => ({ text }));
    pass(MAX_STALE - 1);
    answer('old when it came');
    await reading;
    expect(cache.find('a')).not.toBeNull();
    pass(1);
    expect(cache.find('a')).toBeNull();
  });

  it('an answer to an earlier question does not replace one to a later question', async () => {
    const { cache, keep, pass } = open();
    const { ask, answer } = slow();
    const reading = cache.read('a', 'user', ask, (text) => ({ text }));
    pass(10);
    await keep('a', 'later');
    answer('earlier');
    await reading;
    expect(cache.find('a')).toEqual({ text: 'later' });
  });

  it.each([
    ['the wall clock leaps forward', { monotonic: 0, wall: 3_600_000 }, null],
    ['the machine slept: only the wall clock went on', { monotonic: 1, wall: MAX_STALE }, null],
    ['the wall clock was set back an hour, and the time is up', { monotonic: MAX_STALE, wall: -3_600_000 }, null],
    ['the wall clock was set back, and it is not', { monotonic: 1, wall: -3_600_000 }, { text: 'a' }],
  ])('%s', async (_, { monotonic, wall }, found) => {
    const { cache, time, keep } = open();
    await keep('a');
    time.monotonic += monotonic;
    time.wall += wall;
    expect(cache.find('a')).toEqual(found);
  });

  it('while it may miss something, it finds nothing and keeps nothing', async () => {
    const { cache, watch, keep } = open();
    await keep('a');
    watch.onLost();
    expect(cache.find('a')).toBeNull();
    await keep('a');
    watch.onHeard();
    expect(cache.find('a')).toBeNull();
    expect(cache.counts.bypassed).toBe(1);
  });

  it('asks to be told of a break before entries are too old', () => {
    expect(open().watch.within).toBeLessThan(MAX_STALE);
  });

  it('full, it lets the least used go', async () => {
    const { cache, keep } = open({ maxEntries: 2 });
    await keep('a');
    await keep('b');
    cache.find('a');
    await keep('c');
    expect(['a', 'b', 'c'].map((key) => cache.find(key)?.text)).toEqual(['a', undefined, 'c']);
    expect(cache.size).toBe(2);
    cache.invalidate('user');
    expect(cache.size).toBe(0);
  });

  it('takes no more memory than so many entries of 4 KiB, and keeps nothing over 16 KiB', async () => {
    const { cache, keep } = open({ maxEntries: 10, sizeOf: ({ text }) => text.length });
    for (let n = 0; n < 10; n += 1) await keep(`large ${n}`, 'x'.repeat(10_000));
    expect(cache.size).toBe(4);
    await keep('too large', 'x'.repeat(16 * 1024 + 1));
    expect(cache.find('too large')).toBeNull();
    expect(cache.size).toBe(4);
  });

  it('never finds what changed more than maxStale ago, nor what a message told of, in any history', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('ask' as const), user: fc.nat(2) }),
      fc.record({ kind: fc.constant('answer' as const), nth: fc.nat(4) }),
      fc.record({ kind: fc.constant('change' as const), user: fc.nat(2), heard: fc.boolean() }),
      fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(MAX_STALE) }),
      fc.record({ kind: fc.constant('find' as const), user: fc.nat(2) }),
      fc.constant({ kind: 'break' as const }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { cache, watch, pass, time } = open({ maxEntries: 2 });
        const version = [0, 0, 0];
        const changedAt = [-Infinity, -Infinity, -Infinity];
        const heardVersion = [0, 0, 0];
        const open_: { user: number; text: string; answer: (text: string) => void; reading: Promise<unknown> }[] = [];
        for (const each of steps) {
          if (each.kind === 'ask') {
            const { ask, answer } = slow();
            const reading = cache.read(`${each.user}`, `user ${each.user}`, ask, (text) => ({ text }));
            open_.push({ user: each.user, text: String(version[each.user]), answer, reading });
          } else if (each.kind === 'answer') {
            const [question] = open_.splice(each.nth, 1);
            question?.answer(question.text);
            await question?.reading;
          } else if (each.kind === 'change') {
            version[each.user] = (version[each.user] ?? 0) + 1;
            changedAt[each.user] = time.monotonic;
            if (each.heard) {
              heardVersion[each.user] = version[each.user] ?? 0;
              cache.invalidate(`user ${each.user}`);
            }
          } else if (each.kind === 'pass') pass(each.ms);
          else if (each.kind === 'break') {
            watch.onLost();
            watch.onHeard();
            heardVersion.splice(0, 3, ...version);
          } else {
            const found = cache.find(`${each.user}`);
            if (!found) continue;
            const stale = Number(found.text) < (version[each.user] ?? 0);
            expect(Number(found.text)).toBeGreaterThanOrEqual(heardVersion[each.user] ?? 0);
            if (stale) expect(time.monotonic - (changedAt[each.user] ?? 0)).toBeLessThan(MAX_STALE);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
