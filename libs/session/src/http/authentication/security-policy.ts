import { Logger } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { AuthenticationError, endedError, SessionError } from '../../model/errors.js';
import type { HijackSignal, SignalAction } from '../../model/events.js';
import type { ResolvedSessionOptions, SignalActions } from '../../options/resolved-options.js';
import type { SessionStore, LiveSession, CallOptions } from '../../ports/session-store.js';
import type { SessionEvents } from '../../events/session-events.js';
import type { ClientRecognition, Compared } from './client-recognition.js';
import type { Transport } from '../authorization/route-rules.js';
import type { ClientMismatch, RequestContext } from './request-context.js';

/** From the most lenient to the strictest. */
const ACTIONS: readonly SignalAction[] = ['off', 'log', 'step-up', 'reject', 'end'];

/** The option that controls each signal. */
const OPTION_OF: Readonly<Record<HijackSignal, string>> = {
  fingerprint: 'security.useFingerprint',
  ip: 'security.bindToIP',
};

/** Each signal of a session is announced at most once in this time, ms. */
const QUIET = 60_000;
/** Number of signals whose last announcement is remembered. */
const REMEMBERED = 10_000;

/**
 * Handles a session that is used with another fingerprint or from another network than it was started with: the options
 * `security.useFingerprint` and `security.bindToIP`. Does not read the store; writes only to end a session.
 */
export class SecurityPolicy {
  private readonly logger = new Logger(SecurityPolicy.name);
  private readonly announced = new LRUCache<string, number>({ max: REMEMBERED });
  private readonly actions: Readonly<Record<HijackSignal, SignalActions>>;
  /** What is compared at all. */
  private readonly compared: Readonly<Record<Transport, Compared>>;
  /** Whether any signal is looked at. */
  readonly enabled: boolean;

  constructor(
    private readonly clients: ClientRecognition,
    private readonly store: SessionStore,
    private readonly events: SessionEvents,
    { security: { useFingerprint, bindToIP } }: ResolvedSessionOptions,
  ) {
    this.actions = { fingerprint: useFingerprint, ip: bindToIP };
    const comparedBy = (transport: Transport): Compared => ({
      fingerprint: useFingerprint[transport] !== 'off',
      ip: bindToIP[transport] !== 'off',
    });
    this.compared = { cookie: comparedBy('cookie'), bearer: comparedBy('bearer') };
    this.enabled = Object.values(this.compared).some(({ fingerprint, ip }) => fingerprint || ip);
  }

  /**
   * The differences between the client of a request and its session's; null if there is none that counts. Of several
   * signals the strictest action applies. A refresh token counts as `bearer`.
   */
  assess({ client }: RequestContext, { session }: LiveSession, transport: Transport): ClientMismatch | null {
    const compared = transport === 'cookie' ? this.compared.cookie : this.compared.bearer;
    const signals = this.clients.differences(client, session.metadata, compared);
    if (signals.length === 0) return null;
    const actionOf = (signal: HijackSignal): SignalAction => this.actions[signal][transport];
    const action = ACTIONS[Math.max(0, ...signals.map((signal) => ACTIONS.indexOf(actionOf(signal))))];
    return action === undefined || action === 'off' ? null : { signals, action };
  }

  /** Whether the client must not get a new token for the session, because its token may be a copy. */
  denies(mismatch: ClientMismatch | null): boolean {
    return mismatch !== null && mismatch.action !== 'log';
  }

  /**
   * Announces a mismatch and applies the options. Returns the error for all routes except those with `@StepUp()`, or
   * null.
   *
   * @throws {AuthenticationError} under `reject`, and under `end` once the session has ended.
   * @throws {StoreUnavailableError} if the session could not be ended.
   */
  async apply(live: LiveSession, mismatch: ClientMismatch | null, { wait }: CallOptions): Promise<SessionError | null> {
    if (!mismatch) return null;
    this.announce(live, mismatch);
    switch (mismatch.action) {
      case 'log':
        return null;
      case 'step-up':
        return new SessionError(
          'step_up_required',
          'The session is used by a different client than before. Verify your identity again.',
        );
      case 'reject':
        throw new AuthenticationError(
          'invalid_token',
          `The session was started by another client (${mismatch.signals.map((signal) => OPTION_OF[signal]).join(', ')}). Sign in again; a server that renders pages must pass on the browser's User-Agent and address with its cookie.`,
          null,
          { cause: 'client' },
        );
      case 'end':
        await this.store.destroy(live.session.id, { reason: 'hijack', ...(wait && { wait }) });
        throw endedError('hijack');
    }
  }

  private announce({ session, now }: LiveSession, { signals, action }: ClientMismatch): void {
    const due = signals.filter((signal) => now - (this.announced.get(`${session.id} ${signal}`) ?? -QUIET) >= QUIET);
    if (due.length === 0) return;
    for (const signal of due) this.announced.set(`${session.id} ${signal}`, now);
    this.logger.warn(`Another client uses the session ${session.id} (${due.join(', ')}): ${action}`);
    const { id: sessionId, userId } = session;
    this.events.publish({ type: 'hijack-suspected', at: now, sessionId, userId, remote: false, signals: due, action });
  }
}
