import { Inject, Injectable, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { SessionEvent, SessionEventType } from '../model/events.js';
import type { EndReason, Session } from '../model/session.js';
import { SessionStore } from '../ports/session-store.js';
import { SessionEvents } from '../services/session-events.js';
import { EventClient, type StreamableResponse } from './event-client.js';

export interface SessionStreamOptions {
  /** Bytes that may wait for a client before it is cut off. Default 65,536. */
  maxBuffered?: number;
}

/** What a client hears of its session, as JSON; under the event's type. */
export interface SessionStreamMessage {
  type: SessionEventType;
  /** Epoch ms by the store's clock. */
  at: number;
  sessionId: string;
  /** Of an end; null where the store no longer knows it. */
  reason?: EndReason | null;
}

/** What happens to a session that its holder may know. That it looks stolen is none of it: the thief may be listening. */
const TOLD: ReadonlySet<SessionEventType> = new Set(['renewed', 'refreshed', 'changed', 'ended']);

/** Between signs of life, ms. */
const BEAT = 15_000;
/** Every so many beats the store is asked whether the session still lives. */
const BEATS_PER_CHECK = 4;
/** How many sessions are asked for at once. */
const AT_ONCE = 50;
/** After which a client comes again, ms: long enough for the answer that brings it a new cookie. */
const RETRY = 3_000;
const MAX_BUFFERED = 64 * 1024;
/** Streams of one session; of more, the oldest is closed. */
const MOST_OF_A_SESSION = 20;

interface Watched {
  readonly clients: Set<EventClient>;
  /** What credentials the streams were opened with, as far as it can be told: access tokens from before are dead. */
  tokensFrom: number | null;
}

/**
 * Server-sent events of a session, for whoever holds it: what happens to it on any instance, and `ended` with the reason, after
 * which the stream closes. Closes also when the session's secrets are replaced or its access tokens revoked, so that whoever
 * comes again has to show the new ones.
 *
 * ```ts
 * @NoTouch()
 * @Get('events')
 * events(@CurrentSession() session: Session, @Res() response: StreamableResponse): void {
 *   this.streams.open(session, response);
 * }
 * ```
 */
@Injectable()
export class SessionStreams implements OnModuleInit, BeforeApplicationShutdown {
  private readonly watched = new Map<string, Watched>();
  private timer: NodeJS.Timeout | null = null;
  private beats = 0;
  private stopped = false;
  private stopHearingOfGaps: () => void = () => undefined;

  constructor(
    @Inject(SessionEvents) private readonly events: SessionEvents,
    @Inject(SessionStore) private readonly store: SessionStore,
  ) {}

  /** How many streams are open. */
  get size(): number {
    return [...this.watched.values()].reduce((sum, { clients }) => sum + clients.size, 0);
  }

  onModuleInit(): void {
    this.events.all$.subscribe((event) => this.tell(event));
    // Ends that were announced meanwhile nobody has heard of here.
    this.stopHearingOfGaps = this.store.onGap?.(() => void this.checkAll()) ?? (() => undefined);
  }

  /** Open streams would keep the server from closing. */
  beforeApplicationShutdown(): void {
    this.stopped = true;
    this.stopHearingOfGaps();
    if (this.timer) clearInterval(this.timer);
    for (const { clients } of this.watched.values()) for (const client of clients) client.close();
  }

  /**
   * Answers with the events of a session, until it ends or the client goes. Takes the response over: the handler injects it by
   * `@Res()` and returns nothing. A client that does not read is cut off.
   */
  open(session: Pick<Session, 'id'>, response: StreamableResponse, options: SessionStreamOptions = {}): void {
    const { id } = session;
    const client = new EventClient(response, {
      maxBuffered: options.maxBuffered ?? MAX_BUFFERED,
      retry: RETRY,
      onClose: (closed) => this.forget(id, closed),
    });
    if (this.stopped || !client.isOpen) return client.close();
    const watched = this.watched.get(id) ?? { clients: new Set(), tokensFrom: null };
    this.watched.set(id, watched);
    watched.clients.add(client);
    const [oldest] = watched.clients;
    if (watched.clients.size > MOST_OF_A_SESSION) oldest?.close();
    this.timer ??= setInterval(() => this.beat(), BEAT).unref();
    // It may have ended since the request was let in.
    void this.check(id, watched);
  }

  private tell(event: SessionEvent): void {
    const watched = this.watched.get(event.sessionId);
    if (!watched || !TOLD.has(event.type)) return;
    const { type, at, sessionId } = event;
    this.send(watched, { type, at, sessionId, ...(event.type === 'ended' && { reason: event.reason }) });
    const isOver = type === 'ended' || type === 'renewed' || (event.type === 'changed' && event.cause !== undefined);
    if (isOver) this.close(sessionId, watched);
  }

  private send({ clients }: Watched, message: SessionStreamMessage): void {
    for (const client of clients) client.send(message.type, message);
  }

  /** No event may follow the one that closed the stream. */
  private close(sessionId: string, watched: Watched): void {
    this.watched.delete(sessionId);
    for (const client of watched.clients) client.close();
  }

  private forget(sessionId: string, client: EventClient): void {
    const watched = this.watched.get(sessionId);
    if (!watched?.clients.delete(client) || watched.clients.size > 0) return;
    this.watched.delete(sessionId);
    if (this.watched.size > 0 || !this.timer) return;
    clearInterval(this.timer);
    this.timer = null;
  }

  private beat(): void {
    for (const { clients } of this.watched.values()) for (const client of clients) client.beat();
    this.beats += 1;
    if (this.beats % BEATS_PER_CHECK === 0) void this.checkAll();
  }

  private async checkAll(): Promise<void> {
    const all = [...this.watched];
    for (let first = 0; first < all.length; first += AT_ONCE) {
      await Promise.all(all.slice(first, first + AT_ONCE).map(([id, watched]) => this.check(id, watched)));
    }
  }

  /** Closes streams whose end was not heard of. */
  private async check(sessionId: string, watched: Watched): Promise<void> {
    let found;
    try {
      found = await this.store.read(sessionId);
    } catch {
      // The store cannot say. It is asked again.
      return;
    }
    if (this.watched.get(sessionId) !== watched) return;
    if (found.state === 'live') {
      watched.tokensFrom ??= found.tokensFrom;
      if (found.tokensFrom > watched.tokensFrom) this.close(sessionId, watched);
      return;
    }
    const [at, reason] = found.state === 'ended' ? [found.endedAt, found.reason] : [this.store.now(), null];
    this.send(watched, { type: 'ended', at, sessionId, reason });
    this.close(sessionId, watched);
  }
}
