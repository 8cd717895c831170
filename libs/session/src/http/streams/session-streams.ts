import type { BeforeApplicationShutdown, OnModuleInit } from '@nestjs/common';
import type { SessionEvent, SessionEventType } from '../../model/events.js';
import type { EndReason, Session } from '../../model/session.js';
import type { SessionStore } from '../../ports/session-store.js';
import type { SessionEvents } from '../../events/session-events.js';
import type { RequestContexts } from '../authentication/request-context.js';
import { EventClient, type StreamableResponse } from './event-client.js';
import { viewOf } from '../../ports/tenants/tenants-session-store.js';
import { onServerClose } from './on-server-close.js';
import { timerAt, WatchedSessions } from './watched-sessions.js';

export interface SessionStreamOptions {
  /** Maximum of unsent bytes before a client is disconnected. Default 65,536. */
  maxBuffered?: number;
}

/** A message to a client about its session, as JSON; its SSE event name is the event's type. */
export interface SessionStreamMessage {
  type: SessionEventType;
  /** Epoch ms by the store's clock. */
  at: number;
  sessionId: string;
  /** Reason of an end; null if the store no longer knows it. */
  reason?: EndReason | null;
}

/** Events that the holder of a session may see. Signs of theft are left out, because the thief may be listening. */
const TOLD: ReadonlySet<SessionEventType> = new Set(['regenerated', 'refreshed', 'changed', 'bound', 'ended']);

/** Interval between keep-alive messages, ms. */
const BEAT = 15_000;
/** After this many beats the store is asked whether the session is still live. */
const BEATS_PER_CHECK = 4;
/** Time after which a client reconnects, ms: enough for the answer that brings it a new cookie. */
const RETRY = 3_000;
const MAX_BUFFERED = 64 * 1024;
/** Maximum number of streams per session; the oldest is closed. */
const MOST_OF_A_SESSION = 20;

/**
 * Server-sent events of a session for its holder: what happens to it on any instance, and `ended` with the reason,
 * after which the stream closes. It also closes when the session's secrets are replaced or its access tokens revoked,
 * so that a client must reconnect with the new ones, and when the access token that it was opened with expires.
 *
 * ```ts
 * @NoTouch()
 * @Get('events')
 * events(@CurrentSession() session: Session, @Res() response: StreamableResponse): void {
 *   this.streams.open(session, response);
 * }
 * ```
 */
export class SessionStreams implements OnModuleInit, BeforeApplicationShutdown {
  private readonly watched: WatchedSessions<EventClient>;
  private timer: NodeJS.Timeout | null = null;
  private beats = 0;
  private stopped = false;
  private stopHearingOfGaps: () => void = () => undefined;
  /** Timers of streams that end with an access token. */
  private readonly deadlines = new Map<EventClient, NodeJS.Timeout>();
  private readonly closeAll = (): void => {
    for (const client of [...this.watched.all()]) client.close();
  };

  constructor(
    private readonly events: SessionEvents,
    private readonly store: SessionStore,
    private readonly contexts?: RequestContexts,
  ) {
    this.watched = new WatchedSessions(({ sessionId, unheard }, clients) => {
      if (unheard) this.send(clients, { type: 'ended', at: unheard.at, sessionId, reason: unheard.reason });
      for (const client of clients) client.close();
    });
  }

  /** Number of open streams. */
  get size(): number {
    return this.watched.size;
  }

  onModuleInit(): void {
    this.events.all$.subscribe((event) => this.tell(event));
    // Ends announced during a gap were missed.
    this.stopHearingOfGaps = this.store.onGap?.(() => void this.watched.checkAll()) ?? (() => undefined);
  }

  /** Open streams would prevent the server from closing. */
  beforeApplicationShutdown(): void {
    this.stopped = true;
    this.stopHearingOfGaps();
    if (this.timer) clearInterval(this.timer);
    this.closeAll();
  }

  /**
   * Answers with the events of a session, until it ends or the client disconnects. Takes over the response: the handler
   * injects it with `@Res()` and returns nothing. A client that does not read is disconnected.
   */
  open(session: Pick<Session, 'id'>, response: StreamableResponse, options: SessionStreamOptions = {}): void {
    const { id } = session;
    const client = new EventClient(response, {
      maxBuffered: options.maxBuffered ?? MAX_BUFFERED,
      retry: RETRY,
      onClose: (closed) => this.forget(id, closed),
    });
    const { server } = client;
    if (this.stopped || !client.isOpen || server?.listening === false) return client.close();
    if (server) onServerClose(server, this.closeAll);
    const clients = this.watched.add(id, client, viewOf(this.store));
    const [oldest] = clients;
    if (clients.size > MOST_OF_A_SESSION) oldest?.close();
    this.timer ??= setInterval(() => this.beat(), BEAT).unref();
    void this.endWithToken(client);
  }

  /** The stream must not outlive the access token: the client reconnects with a new one. */
  private async endWithToken(client: EventClient): Promise<void> {
    const request = await this.contexts?.find(client.request)?.authentication?.catch(() => null);
    if (request?.state !== 'authenticated' || request.expiresAt === undefined || !client.isOpen) return;
    this.deadlines.set(
      client,
      timerAt(request.expiresAt, this.store, () => client.close()),
    );
  }

  private tell(event: SessionEvent): void {
    const clients = this.watched.of(event.sessionId);
    if (!clients || !TOLD.has(event.type)) return;
    const { type, at, sessionId } = event;
    this.send(clients, { type, at, sessionId, ...(event.type === 'ended' && { reason: event.reason }) });
    // No event may follow the one that closes the stream.
    this.watched.hear(event);
  }

  private send(clients: ReadonlySet<EventClient>, message: SessionStreamMessage): void {
    for (const client of clients) client.send(message.type, message);
  }

  private forget(sessionId: string, client: EventClient): void {
    clearTimeout(this.deadlines.get(client));
    this.deadlines.delete(client);
    this.watched.remove(sessionId, client);
    if (!this.watched.isEmpty || !this.timer) return;
    clearInterval(this.timer);
    this.timer = null;
  }

  private beat(): void {
    for (const client of [...this.watched.all()]) client.beat();
    this.beats += 1;
    if (this.beats % BEATS_PER_CHECK === 0) void this.watched.checkAll();
  }
}
