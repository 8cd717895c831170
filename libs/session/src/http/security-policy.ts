import { Inject, Injectable, Logger } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { AuthenticationError, endedError, SessionError } from '../model/errors.js';
import type { HijackSignal, SignalAction } from '../model/events.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionStore, type LiveSession } from '../ports/session-store.js';
import { SessionEvents } from '../services/session-events.js';
import { ClientRecognition } from './client-recognition.js';
import type { HttpExchange } from './http-exchange.js';

/** From the mildest to the gravest. */
const ACTIONS: readonly SignalAction[] = ['off', 'log', 'step-up', 'reject', 'end'];

/** How often one signal of one session is announced, ms. */
const QUIET = 60_000;
/** Of how many signals it is remembered when they were announced. */
const REMEMBERED = 10_000;

interface Suspicion {
  readonly signals: readonly HijackSignal[];
  /** The gravest that any of the signals calls for. */
  readonly action: Exclude<SignalAction, 'off'>;
}

/**
 * What happens when a session turns up with another fingerprint or from another network than it was started with: the
 * options `security.useFingerprint` and `security.bindToIP`. Asks the store nothing; writes only where a session is to end.
 */
@Injectable()
export class SecurityPolicy {
  private readonly logger = new Logger(SecurityPolicy.name);
  private readonly announced = new LRUCache<string, number>({ max: REMEMBERED });
  private readonly actions: Readonly<Record<HijackSignal, SignalAction>>;

  constructor(
    @Inject(ClientRecognition) private readonly clients: ClientRecognition,
    @Inject(SessionStore) private readonly store: SessionStore,
    @Inject(SessionEvents) private readonly events: SessionEvents,
    @Inject(SESSION_OPTIONS) { security: { useFingerprint, bindToIP } }: ResolvedSessionOptions,
  ) {
    this.actions = { fingerprint: useFingerprint, ip: bindToIP };
  }

  /** Whether any signal is looked at. */
  get enabled(): boolean {
    return Object.values(this.actions).some((action) => action !== 'off');
  }

  /** Whether the client must get no new token for the session: what it has may be a copy. */
  withholds(exchange: HttpExchange, live: LiveSession): boolean {
    const suspicion = this.assess(exchange, live);
    return suspicion !== null && suspicion.action !== 'log';
  }

  /**
   * Does what the options say, and announces it. Returns the error with which all routes but those under `@StepUp()` are to
   * be answered, or null.
   *
   * @throws {AuthenticationError} under `reject`, and under `end`, once the session has ended.
   * @throws {StoreUnavailableError} when it could not be ended.
   */
  async judge(exchange: HttpExchange, live: LiveSession): Promise<SessionError | null> {
    const suspicion = this.assess(exchange, live);
    if (!suspicion) return null;
    this.announce(live, suspicion);
    switch (suspicion.action) {
      case 'log':
        return null;
      case 'step-up':
        return new SessionError(
          'step_up_required',
          'The session is used by another client than before: prove again who you are.',
        );
      case 'reject':
        throw new AuthenticationError('invalid_token', 'The session is not of this client. Sign in.');
      case 'end':
        await this.store.destroy(live.session.id, { reason: 'hijack' });
        throw endedError('hijack');
    }
  }

  private assess(exchange: HttpExchange, { session }: LiveSession): Suspicion | null {
    if (!this.enabled) return null;
    const signals = this.clients
      .differences(exchange, session.metadata)
      .filter((signal) => this.actions[signal] !== 'off');
    const action = ACTIONS[Math.max(0, ...signals.map((signal) => ACTIONS.indexOf(this.actions[signal])))];
    return action === undefined || action === 'off' ? null : { signals, action };
  }

  private announce({ session, now }: LiveSession, { signals, action }: Suspicion): void {
    const due = signals.filter((signal) => now - (this.announced.get(`${session.id} ${signal}`) ?? -QUIET) >= QUIET);
    if (due.length === 0) return;
    for (const signal of due) this.announced.set(`${session.id} ${signal}`, now);
    this.logger.warn(`Another client uses the session ${session.id} (${due.join(', ')}): ${action}`);
    const { id: sessionId, userId } = session;
    this.events.publish({ type: 'hijack-suspected', at: now, sessionId, userId, remote: false, signals: due, action });
  }
}
