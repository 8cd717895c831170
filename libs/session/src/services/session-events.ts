import { Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { Observable, filter } from 'rxjs';
import type { SessionEvent, SessionEventOf, SessionEventType } from '../model/events.js';
import { Listeners } from '../ports/listeners.js';
import { SessionStore } from '../ports/session-store.js';

/** Everything that happens to sessions, of this instance at once and of others as the store brings it. */
@Injectable()
export class SessionEvents implements OnApplicationShutdown {
  private readonly logger = new Logger(SessionEvents.name);
  private readonly listeners = new Listeners<SessionEvent>((error) => {
    this.logger.error('A listener of session events failed', error instanceof Error ? error.stack : String(error));
  });
  private readonly unsubscribe: () => void;

  /** All events, from the moment of subscribing. Never completes by itself. */
  readonly all$ = new Observable<SessionEvent>((subscriber) => this.listeners.add((event) => subscriber.next(event)));

  constructor(@Inject(SessionStore) store: SessionStore) {
    this.unsubscribe = store.subscribe((event) => this.publish(event));
  }

  /** The events of one type. */
  of<K extends SessionEventType>(type: K): Observable<SessionEventOf<K>> {
    return this.all$.pipe(filter((event): event is SessionEventOf<K> => event.type === type));
  }

  /** Calls the listener for each event of the type; what it throws is logged and disturbs nobody. Returns how to stop. */
  on<K extends SessionEventType>(type: K, listener: (event: SessionEventOf<K>) => void): () => void {
    return this.listeners.add((event) => {
      if (event.type === type) listener(event as SessionEventOf<K>);
    });
  }

  /** Tells the listeners of this instance. */
  publish(event: SessionEvent): void {
    this.listeners.emit(event);
  }

  onApplicationShutdown(): void {
    this.unsubscribe();
    this.listeners.clear();
  }
}
