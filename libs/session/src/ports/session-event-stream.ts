import { InvalidArgumentError } from '../model/errors.js';
import type { SessionEvent } from '../model/events.js';
import { tenantPrefix } from '../model/tenant.js';

/** What belongs to the delivery, not to the event. */
export interface EventDelivery {
  /** Id of the event. The same at every delivery, so that a handler can recognise a repeat. */
  readonly id: string;
}

/** Handles one event. If it throws or rejects, the event is delivered again. */
export type EventConsumer = (event: SessionEvent, delivery: EventDelivery) => unknown;

export interface ConsumeOptions {
  /** Where a new group starts: with future events, or with all that are kept. Default `now`. */
  from?: 'now' | 'start';
  /** After this time, an unfinished event is delivered again, to any consumer of the group, ms. Default 30,000. */
  retryAfter?: number;
}

/** Stops the consumer. Resolves when the current event is finished, after 5 seconds at most. */
export type StopConsuming = () => Promise<void>;

/**
 * The port of durable events: each event is delivered at least once to one consumer of each group, even if the consumer
 * or all processes were down. Beyond a maximum number of events, the oldest are dropped.
 *
 * `refreshed`, and `changed` except for revoked tokens, are not kept: they happen at every use.
 */
export abstract class SessionEventStream {
  /** @throws {InvalidArgumentError} for an empty group name. */
  abstract consume(group: string, consumer: EventConsumer, options?: ConsumeOptions): Promise<StopConsuming>;

  /** Stops all consumers. */
  abstract close(): Promise<void>;
}

/** The events of one tenant in a shared stream, with its own consumer groups. Closes nothing. */
export class TenantEventStream extends SessionEventStream {
  constructor(
    private readonly all: SessionEventStream,
    private readonly tenant: string,
  ) {
    super();
  }

  async consume(group: string, consumer: EventConsumer, options?: ConsumeOptions): Promise<StopConsuming> {
    if (typeof group !== 'string' || group === '')
      throw new InvalidArgumentError('group', 'must be a non-empty string');
    return this.all.consume(
      tenantPrefix(this.tenant) + group,
      async (event, delivery) => {
        if ((event.tenant ?? '') === this.tenant) await consumer(event, delivery);
      },
      options,
    );
  }

  async close(): Promise<void> {}
}
