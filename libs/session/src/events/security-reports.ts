import type { SessionError, SessionErrorCode } from '../model/errors.js';
import type { RequestRefusedEvent, SessionEvent, SignInFailedEvent } from '../model/events.js';
import type { Session } from '../model/session.js';
import type { SessionEvents } from './session-events.js';

/** How many events of one kind an instance announces in a window. */
export const MOST_REPORTS = 100;
/** Length of the window, ms. */
const WINDOW = 60_000;

/** Refusals that have an event of their own, or that only mean that nobody has signed in. */
const NOT_REPORTED: ReadonlySet<SessionErrorCode> = new Set([
  'session_required',
  'session_expired',
  'session_evicted',
  'session_replaced',
  'session_ended',
  'session_limit_reached',
  'use_dpop_nonce',
]);

/** The origin and the target of a request, as far as known. */
export interface RequestOrigin {
  /** Reduced according to the option `security.ipPrivacy`. */
  readonly ip?: string | undefined;
  /** Controller and handler. */
  readonly route?: string | undefined;
}

/** A failed proof of identity, as an application reports it. */
export interface FailedSignIn {
  /** Id of an existing account. Never the text that was entered: people type passwords into the wrong field. */
  userId?: string;
  /** The factors that failed, as RFC 8176 names them. Default `['pwd']`. */
  failed?: readonly string[];
  /** The factors that were verified before. Default: those of the request's session, none without a session. */
  verified?: readonly string[];
  /** Default `wrong-credentials`. */
  reason?: SignInFailedEvent['reason'];
}

type Report = SignInFailedEvent | RequestRefusedEvent;

interface Window {
  announced: number;
  omitted: number;
  latest: Report | null;
  readonly timer: NodeJS.Timeout;
}

/**
 * Announces what ASVS 5.0, 16.3.1 to 16.3.3 requires to be logged and the store cannot see: successful and failed
 * proofs of identity, and refused requests. Announced on this instance only, at most a hundred of each kind per minute:
 * the last event of the minute then says how many were omitted.
 */
export class SecurityReports {
  private readonly windows = new Map<string, Window>();

  constructor(
    private readonly events: Pick<SessionEvents, 'announceHere'>,
    private readonly now: () => number,
    private readonly tenant: () => string,
    private readonly limits: { readonly most: number; readonly window: number } = {
      most: MOST_REPORTS,
      window: WINDOW,
    },
  ) {}

  /** A sign-in or a step-up that succeeded. Not limited: each costs a session or a new secret. */
  authenticated({ id, userId, amr, pending = false }: Session, step: 'sign-in' | 'step-up'): void {
    this.events.announceHere({ type: 'authenticated', ...this.base(id, userId), amr: amr ?? [], step, pending });
  }

  /** A proof of identity that failed. */
  signInFailed(
    { userId = '', failed = ['pwd'], verified = [], reason = 'wrong-credentials' }: FailedSignIn,
    { sessionId = '', ip }: Pick<RequestOrigin, 'ip'> & { sessionId?: string } = {},
  ): void {
    const about = { reason, failed: [...failed], verified: [...verified], ...(ip !== undefined && { ip }) };
    this.announce(`sign-in-failed ${reason}`, { type: 'sign-in-failed', ...this.base(sessionId, userId), ...about });
  }

  /** A refused request; `session` is the request's session, if it has one. */
  refused(error: SessionError, { ip, route }: RequestOrigin, session?: Pick<Session, 'id' | 'userId'>): void {
    const { code, statusCode, cause } = error;
    // The client policy has already announced its finding.
    if (statusCode >= 500 || NOT_REPORTED.has(code) || cause === 'client') return;
    this.announce(`request-refused ${code} ${typeof cause === 'string' ? cause : ''}`, {
      type: 'request-refused',
      ...this.base(session?.id ?? '', session?.userId ?? ''),
      code,
      ...(typeof cause === 'string' && { reason: cause }),
      ...(ip !== undefined && { ip }),
      ...(route !== undefined && { route }),
    });
  }

  /** Announces what was held back so far. */
  flush(): void {
    for (const [kind, window] of this.windows) this.close(kind, window);
  }

  private announce(kind: string, event: Report): void {
    // One tenant must not use up the events of the others.
    const name = event.tenant === undefined ? kind : `${event.tenant}\n${kind}`;
    const window = this.windows.get(name) ?? this.open(name);
    if (window.announced < this.limits.most) {
      window.announced += 1;
      this.events.announceHere(event);
      return;
    }
    if (window.latest) window.omitted += 1;
    window.latest = event;
  }

  private open(kind: string): Window {
    const timer = setTimeout(() => this.close(kind, window), this.limits.window).unref();
    const window: Window = { announced: 0, omitted: 0, latest: null, timer };
    this.windows.set(kind, window);
    return window;
  }

  private close(kind: string, { timer, latest, omitted }: Window): void {
    clearTimeout(timer);
    this.windows.delete(kind);
    if (latest) this.events.announceHere({ ...latest, omitted });
  }

  private base(sessionId: string, userId: string): Pick<SessionEvent, 'at' | 'sessionId' | 'userId' | 'remote'> {
    const tenant = this.tenant();
    return { at: this.now(), sessionId, userId, remote: false, ...(tenant !== '' && { tenant }) };
  }
}
