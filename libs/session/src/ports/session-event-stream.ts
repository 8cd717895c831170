import type { SessionEvent } from '../model/events.js';

/** What belongs to one delivery rather than to the event. */
export interface EventDelivery {
  /** Names the event; the same at every delivery, so that a handler can tell a repeat. */
  readonly id: string;
}

/** Takes one event. What it rejects with leaves the event undelivered: it comes again. */
export type EventConsumer = (event: SessionEvent, delivery: EventDelivery) => unknown;

export interface ConsumeOptions {
  /** Where a group that is new begins: with what happens from now on, or with all that is kept. Default `now`. */
  from?: 'now' | 'start';
  /** After this an event that was delivered and not finished is delivered again, to whoever of the group asks, ms. Default 30,000. */
  retryAfter?: number;
}

/** Stops taking events; resolves once the one at hand is finished, which is waited for 5 seconds at most. */
export type StopConsuming = () => Promise<void>;

/**
 * The port by which events outlive whoever was to take them: each event is delivered at least once to one consumer of each
 * group, also when the consumer, or every process, was down. Kept up to a number of events, the oldest are dropped.
 *
 * Not kept are `refreshed`, and `changed` but for revoked tokens: they happen at every use.
 */
export abstract class SessionEventStream {
  /** @throws {InvalidArgumentError} for an empty group name. */
  abstract consume(group: string, consumer: EventConsumer, options?: ConsumeOptions): Promise<StopConsuming>;

  /** Stops all consumers. */
  abstract close(): Promise<void>;
}
