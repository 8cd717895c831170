import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleDestroy } from '@nestjs/common';
import { filter, type Observable } from 'rxjs';
import { ConfigurationError } from '../model/errors.js';
import { isNamed, type SessionEvent, type SessionEventName, type SessionEventNamed } from '../model/events.js';
import { Listeners } from '../ports/listeners.js';
import type { ConsumeOptions, EventConsumer, StopConsuming } from '../ports/session-event-stream.js';
import { SessionStore } from '../ports/session-store.js';
import { SafeObservable } from './safe-observable.js';

/**
 * Everything that happens to sessions: what this instance did, and what others did as far as the store brings it. An event
 * with `remote: false` is this instance's own; no other has it so.
 *
 * Names are the types of events, and kinds of ends: `expired`, `evicted`, `replaced`, `revoked`. What a listener or subscriber
 * throws is logged and disturbs nobody.
 */
@Injectable()
export class SessionEvents implements OnModuleDestroy, OnApplicationShutdown {
  private readonly logger = new Logger(SessionEvents.name);
  private readonly listeners = new Listeners<SessionEvent>((error) => this.complain(error));
  private readonly unsubscribe: () => void;
  private readonly consuming = new Set<StopConsuming>();

  /** All events, from the moment of subscribing. Never completes by itself. */
  readonly all$: Observable<SessionEvent> = new SafeObservable(
    (error) => this.complain(error),
    (subscriber) => this.listeners.add((event) => subscriber.next(event)),
  );

  constructor(@Inject(SessionStore) private readonly store: SessionStore) {
    this.unsubscribe = store.subscribe((event) => this.listeners.emit(event));
  }

  /** The events of one name. */
  of<N extends SessionEventName>(name: N): Observable<SessionEventNamed<N>> {
    return this.all$.pipe(filter((event): event is SessionEvent & SessionEventNamed<N> => isNamed(event, name)));
  }

  /** Calls the listener for each event of the name. Returns how to stop. */
  on<N extends SessionEventName>(name: N, listener: (event: SessionEventNamed<N>) => unknown): () => void {
    return this.listeners.add((event) => (isNamed(event, name) ? listener(event) : undefined));
  }

  /**
   * Tells everybody who listens, here and on other instances, of something that the store cannot see: that a session looks
   * hijacked, for instance. Never throws, and waits for nobody.
   */
  publish(event: SessionEvent): void {
    // A store of somebody's own may know nothing of this.
    if (this.store.publish?.(event) !== true) this.listeners.emit(event);
  }

  /**
   * Hands every event to one consumer of the group, at least once: one that was delivered to a process which died, or whose
   * handler failed, comes again after `retryAfter`. Of a group that is new, `from` says whether what is kept already counts.
   * Not kept are `refreshed`, `damaged`, and `changed` but for revoked tokens.
   *
   * @returns how to stop; the module does so at shutdown.
   * @throws {ConfigurationError} while the option `events.stream` is off, or with a store that has none.
   */
  async consume(group: string, handler: EventConsumer, options: ConsumeOptions = {}): Promise<StopConsuming> {
    const stream = this.store.eventStream?.() ?? null;
    if (!stream) {
      throw new ConfigurationError(
        'events.stream: is off, so that no event waits for a consumer. Set events: { stream: true }; a store of your own must have an eventStream().',
      );
    }
    const stop = await stream.consume(
      group,
      async (event, delivery) => {
        try {
          await handler(event, delivery);
        } catch (error) {
          this.complain(error);
          throw error;
        }
      },
      options,
    );
    const once = async (): Promise<void> => {
      if (this.consuming.delete(once)) await stop();
    };
    this.consuming.add(once);
    return once;
  }

  /** Before the store closes, so that what is at hand can be finished. */
  async onModuleDestroy(): Promise<void> {
    await Promise.all([...this.consuming].map((stop) => stop()));
  }

  /** What this instance did is told to its end. Safe to repeat. */
  onApplicationShutdown(): void {
    this.store.flushEvents?.();
    this.unsubscribe();
    this.listeners.clear();
  }

  private complain(error: unknown): void {
    this.logger.error('A listener of session events failed', error instanceof Error ? error.stack : String(error));
  }
}
