import fc from 'fast-check';
import type { SessionData } from 'express-session';
import { MemorySessionStore } from '../../../src/memory/memory-session-store.js';
import { closeBackends, openExpressStore } from './support/backends.js';

afterEach(closeBackends);

/** What one request does with the session of the browser they all share. */
type Deed = 'write' | 'sign-in' | 'sign-out' | 'touch' | 'destroy' | 'end-all';

const USERS = ['ann', 'bob'];

/** Lets others run in between: each call waits for some turns of the event loop before and after, as the random numbers say. */
function slowed<T extends object>(
  target: T,
  turns: () => number,
  inner: (value: unknown) => unknown = (value) => value,
): T {
  const wait = async (): Promise<void> => {
    for (let left = turns(); left > 0; left -= 1) await new Promise((resolve) => setImmediate(resolve));
  };
  return new Proxy(target, {
    get: (of, name) => {
      const value: unknown = Reflect.get(of, name);
      if (typeof value !== 'function') return value;
      if (name === 'aliases') return () => inner(Reflect.apply(value, of, []));
      if (value.constructor.name !== 'AsyncFunction') return value.bind(of) as unknown;
      return async (...args: unknown[]) => {
        await wait();
        const result: unknown = await (Reflect.apply(value, of, args) as Promise<unknown>);
        await wait();
        return result;
      };
    },
  });
}

function session(data: Record<string, unknown>): SessionData {
  return { cookie: { originalMaxAge: null }, ...data };
}

describe('requests of one browser, in every order that chance finds', () => {
  const deed = fc.constantFrom<Deed>(
    'write',
    'write',
    'write',
    'sign-in',
    'sign-in',
    'sign-out',
    'touch',
    'destroy',
    'end-all',
  );

  async function run(deeds: readonly { deed: Deed; user: string; delay: number }[], turns: () => number) {
    const memory = new MemorySessionStore();
    const aliases = slowed(memory.aliases(), turns);
    const store = slowed(memory, turns, () => aliases);
    const express = openExpressStore({ store, aliases });
    const calm = openExpressStore({ store: memory });
    await calm.set('sid', session({ start: true }));

    const written: string[] = [];
    let ended = false;
    await Promise.all(
      deeds.map(async ({ deed: does, user, delay }, n) => {
        for (let left = delay; left > 0; left -= 1) await new Promise((resolve) => setImmediate(resolve));
        if (does === 'end-all') {
          await store.destroyAll(user);
          return;
        }
        if (does === 'destroy') {
          await express.destroy('sid');
          ended = true;
          return;
        }
        const mine = await express.get('sid');
        if (!mine) return;
        if (does === 'touch') {
          await express.touch('sid', mine);
          return;
        }
        if (does === 'sign-in') mine['userId'] = user;
        if (does === 'sign-out') delete mine['userId'];
        mine[`key${n}`] = n;
        await express.set('sid', mine);
        written.push(`key${n}`);
      }),
    );
    return { memory, calm, written, ended };
  }

  const histories = fc.array(fc.record({ deed, user: fc.constantFrom(...USERS), delay: fc.nat(12) }), {
    minLength: 2,
    maxLength: 7,
  });

  it('leave no session without an alias, none of an ended id, and none in the wrong list', async () => {
    await fc.assert(
      fc.asyncProperty(histories, fc.array(fc.nat(3), { minLength: 1, maxLength: 50 }), async (deeds, numbers) => {
        let at = 0;
        const { memory, calm, ended } = await run(deeds, () => numbers[at++ % numbers.length] ?? 0);
        const left = await calm.get('sid');
        expect(await memory.count()).toBe(left ? 1 : 0);
        expect(await calm.length()).toBe(left ? 1 : 0);
        if (ended) expect(left).toBeUndefined();
        const user = left?.['userId'] as string | undefined;
        for (const one of USERS) expect(await memory.getActiveSessions(one)).toHaveLength(one === user ? 1 : 0);
      }),
      { numRuns: 400 },
    );
  }, 120_000);

  it('lose no key that was saved while the session lived', async () => {
    const living = fc.array(
      fc.record({
        deed: fc.constantFrom<Deed>('write', 'write', 'sign-in', 'sign-out', 'touch'),
        user: fc.constantFrom(...USERS),
        delay: fc.nat(12),
      }),
      { minLength: 2, maxLength: 7 },
    );
    await fc.assert(
      fc.asyncProperty(living, fc.array(fc.nat(3), { minLength: 1, maxLength: 50 }), async (deeds, numbers) => {
        let at = 0;
        const { calm, written } = await run(deeds, () => numbers[at++ % numbers.length] ?? 0);
        const left = (await calm.get('sid')) ?? session({});
        expect(Object.keys(left)).toEqual(expect.arrayContaining(['start', ...written]));
      }),
      { numRuns: 400 },
    );
  }, 120_000);
});
