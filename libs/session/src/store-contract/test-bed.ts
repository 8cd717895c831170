import { randomBytes } from 'node:crypto';
import type { SessionEvent, SessionEventType } from '../model/events.js';
import type { EndReason, Session } from '../model/session.js';
import type { SessionStoreOptions } from '../options/store-options.js';
import type { SessionStore } from '../ports/session-store.js';
import type { CreateStoreHarness, StoreHarness } from './store-harness.js';
import { afterEach, expect } from './test-api.js';

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;

/** How close a test gets to a deadline if time passes between two calls. */
const SAFE_DISTANCE = 5 * SECOND;
/** How long a test waits for events of another instance before it fails. */
const PATIENCE_MS = 5_000;

/** Opens stores, and closes them after the test. */
export type OpenStore = (options?: SessionStoreOptions) => Promise<TestBed>;

/** Call once within a `describe`. */
export function storeOpener(createHarness: CreateStoreHarness): OpenStore {
  const opened: StoreHarness[] = [];
  afterEach(async () => {
    for (const harness of opened.splice(0)) await harness.close();
  });
  return async (options = {}) => {
    const harness = await createHarness({
      idleTimeout: 30 * MINUTE,
      absoluteTimeout: 24 * HOUR,
      limit: { max: 100, onLimit: 'evict-least-recent' },
      ...options,
    });
    opened.push(harness);
    await harness.store.ready();
    return new TestBed(harness);
  };
}

/** A store with the operations that tests need. */
export class TestBed {
  readonly store: SessionStore;
  readonly exactTime: boolean;
  private opening: Promise<SessionStore> | undefined;
  private barriers = 0;

  constructor(readonly harness: StoreHarness) {
    this.store = harness.store;
    this.exactTime = harness.exactTime === true;
  }

  /** Another instance on the same data, or the same one if the harness has only one. */
  second(): Promise<SessionStore> {
    this.opening ??= (async () => {
      const second = (await this.harness.openSecond?.()) ?? this.store;
      await second.ready();
      return second;
    })();
    return this.opening;
  }

  /** Both instances in turn, `count` in total. */
  async instances(count: number): Promise<SessionStore[]> {
    const second = await this.second();
    return Array.from({ length: count }, (_, index) => (index % 2 === 0 ? this.store : second));
  }

  advance(ms: number): Promise<void> {
    return this.harness.advance(ms);
  }

  /** Moves to an instant at which a session with this deadline is still live: the last one if time is exact. */
  async goJustBefore(deadline: number): Promise<void> {
    await this.goTo(deadline - (this.exactTime ? 1 : SAFE_DISTANCE));
    expect(this.store.now()).toBeLessThan(deadline);
  }

  /** Moves to an instant at which a session with this deadline is over: the first one if time is exact. */
  async goPast(deadline: number): Promise<void> {
    // Instances may disagree about the store's time by half a round trip, which can be long on a busy machine.
    await this.goTo(this.exactTime ? deadline : deadline + SECOND);
    expect(this.store.now()).toBeGreaterThanOrEqual(deadline);
  }

  private async goTo(instant: number): Promise<void> {
    const ahead = instant - this.store.now();
    if (ahead < 0) throw new Error(`the test is too late by ${-ahead} ms`);
    if (ahead > 0) await this.advance(Math.ceil(ahead));
  }

  /** Listens from now on. */
  async record(): Promise<EventLog> {
    const log = new EventLog((seen) => this.passBarrier(seen));
    this.store.subscribe((event) => log.add(event));
    await log.settle();
    // Drops events of earlier operations.
    log.clear();
    return log;
  }

  /** Events arrive in order: once a later event of each instance is there, all earlier ones have arrived. */
  private async passBarrier(seen: (event: Partial<SessionEvent>) => boolean): Promise<void> {
    if (this.harness.settle) return this.harness.settle();
    const instances = this.opening ? [await this.opening, this.store] : [this.store];
    for (const instance of new Set(instances)) {
      const giveUp = Date.now() + PATIENCE_MS;
      let arrived = false;
      while (!arrived) {
        // Repeated until received, because an instance may only just have subscribed.
        const { id } = await instance.create({ userId: `${BARRIER}${this.barriers++}` });
        await instance.destroy(id);
        for (let turn = 0; turn < 100 && !arrived; turn += 1) {
          arrived = seen({ type: 'ended', sessionId: id });
          if (!arrived) await nextTurn();
        }
        if (Date.now() > giveUp) throw new Error(`an event did not reach the listener within ${PATIENCE_MS} ms`);
      }
    }
  }
}

/** Prefix of user ids whose events are hidden from tests. */
export const BARRIER = 'test-bed-barrier-';

/** The events that a listener received. */
export class EventLog {
  private readonly events: SessionEvent[] = [];

  constructor(private readonly passBarrier: (seen: (event: Partial<SessionEvent>) => boolean) => Promise<void>) {}

  add(event: SessionEvent): void {
    this.events.push(event);
  }

  clear(): void {
    this.events.length = 0;
  }

  /** Resolves once everything announced so far has been received. */
  settle(): Promise<void> {
    return this.passBarrier(({ type, sessionId }) =>
      this.events.some((event) => event.type === type && event.sessionId === sessionId),
    );
  }

  /** All received events, in order. */
  async all(): Promise<SessionEvent[]> {
    await this.settle();
    return this.events.filter(({ userId }) => !userId.startsWith(BARRIER));
  }

  async of<K extends SessionEventType>(type: K, sessionId?: string): Promise<Extract<SessionEvent, { type: K }>[]> {
    const events = await this.all();
    return events.filter(
      (event): event is Extract<SessionEvent, { type: K }> =>
        event.type === type && (sessionId === undefined || event.sessionId === sessionId),
    );
  }

  /** The end reasons announced for the session, in order. */
  async endsOf(session: { id: string }): Promise<EndReason[]> {
    return (await this.of('ended', session.id)).map(({ reason }) => reason);
  }

  /** The types of events announced for a session, in order. */
  async typesOf(session: { id: string }): Promise<SessionEventType[]> {
    return (await this.all()).filter(({ sessionId }) => sessionId === session.id).map(({ type }) => type);
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export function idsOf(sessions: readonly Session[]): string[] {
  return sessions.map(({ id }) => id).sort();
}

/** A stored hash of some secret: 32 random bytes. */
export function anyHash(): Buffer {
  return randomBytes(32);
}

/** The digest of some client: 8 random bytes. */
export function anyClient(): Buffer {
  return randomBytes(8);
}

/** The error of a refused operation. Fails if the operation succeeded. */
export async function refusalOf(operation: Promise<unknown>): Promise<Error & { code?: unknown }> {
  const outcome = await operation.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if (!('error' in outcome)) throw new Error(`expected a refusal, got ${JSON.stringify(outcome.value)}`);
  expect(outcome.error).toBeInstanceOf(Error);
  return outcome.error as Error & { code?: unknown };
}

/** Checks the code of a refusal, not its class: classes exist twice if a package is loaded as ESM and as CommonJS. */
export async function expectRefusal(operation: Promise<unknown>, code: string): Promise<void> {
  expect((await refusalOf(operation)).code).toBe(code);
}
