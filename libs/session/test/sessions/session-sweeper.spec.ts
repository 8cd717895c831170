import { Logger } from '@nestjs/common';
import { jest } from '@jest/globals';
import { resolveSessionOptions } from '../../src/options/resolve-options.js';
import type { SweepOptions } from '../../src/ports/session-store.js';
import { SessionSweeper } from '../../src/sessions/session-sweeper.js';
import { CountingStore } from '../support/counting-store.js';

class SweptStore extends CountingStore {
  readonly swept: SweepOptions[] = [];
  hold: Promise<void> = Promise.resolve();
  broken = false;

  override async sweep(options: SweepOptions = {}): Promise<number> {
    this.swept.push(options);
    await this.hold;
    if (this.broken) throw new Error('down');
    return super.sweep(options);
  }
}

beforeAll(() => Logger.overrideLogger(false));

describe('SessionSweeper', () => {
  let store: SweptStore;
  let sweeper: SessionSweeper;

  beforeEach(() => {
    jest.useFakeTimers();
    store = new SweptStore();
    sweeper = new SessionSweeper(store, resolveSessionOptions({ sweeper: { interval: '32s' } }));
  });

  afterEach(async () => {
    await sweeper.onModuleDestroy();
    jest.useRealTimers();
  });

  it('does everything once an interval, in equal parts', async () => {
    sweeper.onApplicationBootstrap();
    expect(store.swept).toEqual([]);
    await jest.advanceTimersByTimeAsync(64_000);
    const parts = Array.from({ length: 32 }, (_, part) => ({ part, of: 32 }));
    expect(store.swept).toEqual([...parts, ...parts]);
  });

  it('removes expired sessions and announces each once', async () => {
    const ended: string[] = [];
    store.subscribe((event) => event.type === 'ended' && ended.push(event.sessionId));
    const session = await store.create({ userId: 'ann' });
    sweeper.onApplicationBootstrap();
    store.advance(24 * 3_600_000);
    await jest.advanceTimersByTimeAsync(96_000);
    expect(ended).toEqual([session.id]);
  });

  it('never runs twice at a time, and waits for the last run when it stops', async () => {
    let release = (): void => undefined;
    store.hold = new Promise((resolve) => (release = resolve));
    sweeper.onApplicationBootstrap();
    await jest.advanceTimersByTimeAsync(10_000);
    expect(store.swept).toHaveLength(1);
    let stopped = false;
    const stopping = sweeper.onModuleDestroy().then(() => (stopped = true));
    await jest.advanceTimersByTimeAsync(1_000);
    expect(stopped).toBe(false);
    release();
    await stopping;
    await jest.advanceTimersByTimeAsync(10_000);
    expect(store.swept).toHaveLength(1);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('tries the same part again after a failure', async () => {
    store.broken = true;
    sweeper.onApplicationBootstrap();
    await jest.advanceTimersByTimeAsync(3_000);
    store.broken = false;
    await jest.advanceTimersByTimeAsync(2_000);
    expect(store.swept.map(({ part }) => part)).toEqual([0, 0, 0, 0, 1]);
  });

  it('leaves the sweep to another instance when it stops, and stops all the same where that cannot be said', async () => {
    const stopSweeping = jest.spyOn(store, 'stopSweeping');
    sweeper.onApplicationBootstrap();
    await sweeper.onModuleDestroy();
    expect(stopSweeping).toHaveBeenCalledTimes(1);
    stopSweeping.mockRejectedValueOnce(new Error('down'));
    sweeper.onApplicationBootstrap();
    await sweeper.onModuleDestroy();
    expect(stopSweeping).toHaveBeenCalledTimes(2);
    const off = new SessionSweeper(store, resolveSessionOptions({ sweeper: false }));
    off.onApplicationBootstrap();
    await off.onModuleDestroy();
    expect(stopSweeping).toHaveBeenCalledTimes(2);
  });

  it('does nothing under sweeper: false', async () => {
    const off = new SessionSweeper(store, resolveSessionOptions({ sweeper: false }));
    off.onApplicationBootstrap();
    await jest.advanceTimersByTimeAsync(3_600_000);
    expect(store.swept).toEqual([]);
    expect(jest.getTimerCount()).toBe(0);
    expect(() => resolveSessionOptions({ sweeper: true as never })).toThrow(/sweeper/);
  });

  it('keeps no process alive', () => {
    jest.useRealTimers();
    const spy = jest.spyOn(globalThis, 'setInterval');
    sweeper.onApplicationBootstrap();
    const timer = spy.mock.results[0]?.value as NodeJS.Timeout;
    expect(timer.hasRef()).toBe(false);
    spy.mockRestore();
  });
});
