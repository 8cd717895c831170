import { Logger } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import type { SessionEvents } from '../events/session-events.js';
import type { DeviceBindingHooks } from '../http/authentication/device-binding-hooks.js';
import type { RequestContext } from '../http/authentication/request-context.js';
import type { HttpExchange } from '../http/exchange/http-exchange.js';
import { isAnonymousSession } from '../model/alias.js';
import { BINDING_ALGORITHMS, type BindingState } from '../model/device-binding.js';
import { AuthenticationError, SessionError } from '../model/errors.js';
import type { BindingFailedEvent, BoundCookieMissingEvent } from '../model/events.js';
import type { ResolvedDeviceBoundOptions } from '../options/resolved-options.js';
import type { LiveSession } from '../ports/session-store.js';
import type { BindingTags } from './binding-tags.js';
import type { BoundCookie } from './bound-cookie.js';
import type { PublicPaths } from './public-paths.js';
import { structuredString } from './structured-string.js';

/** How long after registration, and under `required` after a sign-in, a request may come without the cookie, ms. */
export const IN_FLIGHT = 30_000;
/** How often the same thing is announced of one session, ms. */
const QUIET = 60_000;
/** Of how many it is remembered when they were announced. */
const REMEMBERED = 10_000;

type Report =
  Pick<BindingFailedEvent, 'type' | 'step' | 'reason'> | Pick<BoundCookieMissingEvent, 'type' | 'action' | 'skipped'>;

/** Checks the device of a session at each request with its cookie. One HMAC a request of a bound session, and no command. */
export class DeviceBoundSessions implements DeviceBindingHooks {
  private readonly logger = new Logger(DeviceBoundSessions.name);
  private readonly announced = new LRUCache<string, number>({ max: REMEMBERED });

  constructor(
    private readonly options: ResolvedDeviceBoundOptions,
    private readonly tags: BindingTags,
    private readonly cookie: BoundCookie,
    private readonly paths: PublicPaths,
    private readonly events: SessionEvents,
  ) {}

  assess({ exchange }: RequestContext, live: LiveSession, actor: LiveSession | null): BindingState {
    const { session, binding, now } = actor ?? live;
    if (!binding) return 'unbound';
    if (this.cookie.isProven(exchange, session.id, binding, now)) return 'proven';
    return now - binding.boundAt < IN_FLIGHT ? 'in-flight' : 'missing';
  }

  denies(state: BindingState): boolean {
    const { policy, required } = this.options;
    return policy !== 'log' && (state === 'missing' || (state === 'unbound' && required));
  }

  apply(context: RequestContext, live: LiveSession, state: BindingState): SessionError | null {
    if (state === 'missing') return this.refuseMissing(context, live);
    return state === 'unbound' && this.options.required ? this.refuseUnbound(live) : null;
  }

  offer({ exchange }: RequestContext, { session, now }: LiveSession): void {
    const challenge = this.tags.stamp('registration', [session.id], Math.max(now, session.authenticatedAt));
    const path = structuredString(this.paths.register);
    const field = `(${BINDING_ALGORITHMS.join(' ')});path=${path};challenge=${structuredString(challenge)}`;
    exchange.setHeader('secure-session-registration', field);
  }

  forget(exchange: HttpExchange): void {
    if (this.cookie.isSentBy(exchange)) this.cookie.clear(exchange);
  }

  /** Announces what went wrong, the same of one session at most once a minute. */
  report({ session, now }: LiveSession, report: Report): void {
    const key = `${session.id} ${report.type} ${report.type === 'binding-failed' ? `${report.step} ${report.reason}` : ''}`;
    if (now - (this.announced.get(key) ?? -QUIET) < QUIET) return;
    this.announced.set(key, now);
    this.events.publish({ ...report, at: now, sessionId: session.id, userId: session.userId, remote: false });
  }

  private refuseMissing({ exchange }: RequestContext, live: LiveSession): SessionError | null {
    const { policy: action } = this.options;
    const skipped = /^(unreachable|server_error|quota_exceeded)\b/.exec(
      exchange.header('secure-session-skipped') ?? '',
    );
    this.report(live, {
      type: 'bound-cookie-missing',
      action,
      ...(skipped?.[1] !== undefined && { skipped: skipped[1] }),
    });
    switch (action) {
      case 'log':
        this.logger.debug(`The session ${live.session.id} is used without its bound cookie`);
        return null;
      case 'step-up':
        return new SessionError(
          'step_up_required',
          'The device of this session is not proven: prove again who you are.',
        );
      case 'reject':
        throw new AuthenticationError(
          'device_binding_required',
          'The session is bound to a device, and the cookie that proves it is missing or out of date. Sign in again.',
          null,
          { cause: 'client' },
        );
    }
  }

  /** An anonymous session is never offered a key. */
  private refuseUnbound({ session, now }: LiveSession): SessionError | null {
    if (isAnonymousSession(session) || now - session.authenticatedAt < IN_FLIGHT) return null;
    if (this.options.policy === 'log') return null;
    if (this.options.policy === 'step-up')
      return new SessionError('step_up_required', 'This session is bound to no device: prove again who you are.');
    throw new SessionError(
      'session_not_bound',
      'Sessions must be bound to a device here, and this browser has not bound its session. Use one that supports it.',
    );
  }
}
