import { Logger, type OnApplicationShutdown, type OnModuleDestroy } from '@nestjs/common';
import { filter, type Observable } from 'rxjs';
import { stackOf } from '../model/error-text.js';
import { ConfigurationError } from '../model/errors.js';
import { isNamed, type SessionEvent, type SessionEventName, type SessionEventNamed } from '../model/events.js';
import { Listeners } from '../ports/listeners.js';
import type { ConsumeOptions, EventConsumer, StopConsuming } from '../ports/session-event-stream.js';
import type { SessionStore } from '../ports/session-store.js';
import { SafeObservable } from './safe-observable.js';

/**
 * Events of this instance's sessions, and those of other instances that the store delivers. Only the instance that caused an
 * event sees it with `remote: false`.
 *
 * Names are event types and kinds of ends: `expired`, `evicted`, `replaced`, `revoked`. Errors of a listener or subscriber are
 * logged and affect no other.
 */
export class SessionEvents implements OnModuleDestroy, OnApplicationShutdown {
  private readonly logger = new Logger(SessionEvents.name);
  private readonly listeners = new Listeners<SessionEvent>((error) => this.report(error));
  private readonly unsubscribe: () => void;
  private readonly consuming = new Set<StopConsuming>();

  /** All events from the moment of subscription. Never completes. */
  readonly all$: Observable<SessionEvent> = new SafeObservable(
    (error) => this.report(error),
    (subscriber) => this.listeners.add((event) => subscriber.next(event)),
  );

  /** @param realm The realm whose events these are; '' for the application's own. */
  constructor(
    private readonly store: SessionStore,
    private readonly realm = '',
  ) {
    this.unsubscribe = store.subscribe((event) => this.emit(event));
  }

  /** The events with this name. */
  of<N extends SessionEventName>(name: N): Observable<SessionEventNamed<N>> {
    return this.all$.pipe(filter((event): event is SessionEvent & SessionEventNamed<N> => isNamed(event, name)));
  }

  /** Calls the listener for each event with this name. Returns how to unsubscribe. */
  on<N extends SessionEventName>(name: N, listener: (event: SessionEventNamed<N>) => unknown): () => void {
    return this.listeners.add((event) => (isNamed(event, name) ? listener(event) : undefined));
  }

  /**
   * Publishes an event that the store cannot see, such as a client mismatch, to all listeners here and on other instances.
   * Never throws, and returns at once.
   */
  publish(event: SessionEvent): void {
    // A custom store may lack this method.
    if (this.store.publish?.(event) !== true) this.emit(event);
  }

  /** Calls the listeners of this instance only. Never throws. */
  announceHere(event: SessionEvent): void {
    this.emit(event);
  }

  /**
   * Delivers every event to one consumer of the group, at least once: if the process dies or the handler fails, the
   * event is delivered again after `retryAfter`. `from` says whether a new group starts with the events already kept.
   * `refreshed`, `damaged`, and `changed` (except for revoked tokens) are not kept.
   *
   * @returns how to stop; the module stops all consumers at shutdown.
   * @throws {ConfigurationError} while the option `events.stream` is off, or with a store that has none.
   */
  async consume(group: string, handler: EventConsumer, options: ConsumeOptions = {}): Promise<StopConsuming> {
    const stream = this.store.eventStream?.() ?? null;
    if (!stream) {
      throw new ConfigurationError(
        'events.stream: is off, so no events are kept for consumers. Set events: { stream: true }; a custom store needs a method eventStream().',
      );
    }
    const stop = await stream.consume(
      group,
      async (event, delivery) => {
        try {
          await handler(this.named(event), delivery);
        } catch (error) {
          this.report(error);
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

  /** Before the store closes, so that current events can be finished. */
  async onModuleDestroy(): Promise<void> {
    await Promise.all([...this.consuming].map((stop) => stop()));
  }

  /** Delivers this instance's own pending events first. Safe to repeat. */
  onApplicationShutdown(): void {
    this.store.flushEvents?.();
    this.unsubscribe();
    this.listeners.clear();
  }

  private emit(event: SessionEvent): void {
    this.listeners.emit(this.named(event));
  }

  /** Stores know of no realms: each has a prefix or an object of its own. */
  private named(event: SessionEvent): SessionEvent {
    return this.realm === '' ? event : { ...event, realm: this.realm };
  }

  private report(error: unknown): void {
    this.logger.error('A listener of session events failed', stackOf(error));
  }
}
