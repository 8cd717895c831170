import { Logger } from '@nestjs/common';
import { jest } from '@jest/globals';
import { filter, map } from 'rxjs';
import { MemorySessionStore } from '../../src/memory/memory-session-store.js';
import type { SessionEvent } from '../../src/model/events.js';
import type { EndReason } from '../../src/model/session.js';
import { SessionEvents } from '../../src/events/session-events.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('SessionEvents', () => {
  let store: MemorySessionStore;
  let events: SessionEvents;
  let problems: unknown[];

  beforeEach(() => {
    problems = [];
    jest.spyOn(Logger.prototype, 'error').mockImplementation((...args) => void problems.push(args));
    store = new MemorySessionStore();
    events = new SessionEvents(store);
  });
  afterEach(() => jest.restoreAllMocks());

  describe.each([
    ['expired', ['idle', 'absolute']],
    ['evicted', ['evicted']],
    ['replaced', ['replaced']],
    ['revoked', ['revoked', 'reuse', 'hijack', 'admin']],
  ] as const)('the name %s', (name, reasons) => {
    it(`stands for ends by ${reasons.join(', ')} and for no others`, async () => {
      const heard: string[] = [];
      const observed: string[] = [];
      events.on(name, ({ type, reason }) => heard.push(`${type} ${reason}`));
      events.of(name).subscribe(({ type, reason }) => observed.push(`${type} ${reason}`));
      const all = ['logout', 'idle', 'absolute', 'evicted', 'replaced', 'revoked', 'reuse', 'hijack', 'admin'] as const;
      for (const reason of all satisfies readonly EndReason[]) {
        const { id } = await store.create({ userId: 'ada' });
        await store.destroy(id, { reason });
      }
      expect(heard).toEqual(
        all.filter((reason) => (reasons as readonly string[]).includes(reason)).map((reason) => `ended ${reason}`),
      );
      expect(observed).toEqual(heard);
    });
  });

  describe('a listener or subscriber that fails', () => {
    const uncaught: unknown[] = [];
    const take = (error: unknown): void => void uncaught.push(error);
    beforeEach(() => {
      uncaught.length = 0;
      process.on('uncaughtException', take).on('unhandledRejection', take);
    });
    afterEach(() => {
      process.off('uncaughtException', take).off('unhandledRejection', take);
    });

    const boom = (): never => {
      throw new Error('on purpose');
    };
    const failing: Record<string, (events: SessionEvents) => unknown> = {
      'a listener that throws': (all) => all.on('created', boom),
      'a listener that rejects': (all) => all.on('created', async () => boom()),
      'a subscriber that throws': (all) => all.all$.subscribe(boom),
      // eslint-disable-next-line @typescript-eslint/no-misused-promises -- what users write all the same
      'an async subscriber that rejects': (all) => all.all$.subscribe(async () => boom()),
      'an observer object that throws': (all) => all.all$.subscribe({ next: boom }),
      'a subscriber behind operators': (all) =>
        all
          .of('created')
          .pipe(
            map(({ at }) => at),
            filter(() => true),
          )
          .subscribe(boom),
      'an operator that throws, with nobody to take the error': (all) => all.of('created').pipe(map(boom)).subscribe(),
      'an error handler that throws': (all) => all.of('created').pipe(map(boom)).subscribe({ error: boom }),
    };
    it.each(Object.keys(failing))(
      '%s disturbs neither the operation nor the others nor the process, and is logged',
      async (name) => {
        const heard: string[] = [];
        events.on('created', () => heard.push('before'));
        failing[name]?.(events);
        events.on('created', () => heard.push('after'));
        events.all$.subscribe(({ type }) => heard.push(type));
        await expect(store.create({ userId: 'ada' })).resolves.toMatchObject({ userId: 'ada' });
        await turn();
        await turn();
        expect(heard).toEqual(['before', 'after', 'created']);
        expect(uncaught).toEqual([]);
        expect(problems).toHaveLength(1);
        expect(JSON.stringify(problems)).toContain('on purpose');
      },
    );
  });

  it('keeps on telling a subscriber that failed once', async () => {
    let calls = 0;
    events.all$.subscribe(() => {
      calls += 1;
      throw new Error('each time');
    });
    await store.create({ userId: 'ada' });
    await store.create({ userId: 'bob' });
    expect(calls).toBe(2);
  });

  it('publishes what the process found out, to its own listeners at once, also beside a store that knows nothing of it', () => {
    const event: SessionEvent = {
      type: 'use-after-end',
      at: 1,
      sessionId: 's'.repeat(32),
      userId: 'ada',
      reason: 'logout',
      remote: false,
    };
    const foreign = { subscribe: () => () => undefined } as unknown as MemorySessionStore;
    for (const each of [events, new SessionEvents(foreign)]) {
      const heard: SessionEvent[] = [];
      each.on('use-after-end', (told) => heard.push(told));
      each.publish(event);
      expect(heard).toEqual([event]);
    }
  });

  it('refuses consumers while the stream is off, and says what to set', async () => {
    await expect(events.consume('mail', () => undefined)).rejects.toMatchObject({
      code: 'invalid_configuration',
      message: expect.stringContaining('events: { stream: true }'),
    });
  });
});
