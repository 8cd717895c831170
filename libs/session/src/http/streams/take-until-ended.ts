import { Observable, type MonoTypeOperatorFunction } from 'rxjs';
import { ConfigurationError } from '../../model/errors.js';
import type { Session } from '../../model/session.js';
import type { SessionWatch } from './session-watch.js';

interface Origin {
  readonly watch: Pick<SessionWatch, 'watch'>;
  readonly expiresAt: number | undefined;
}

const origins = new WeakMap<object, Origin>();

/** Notes which application a session was read by, and until when the credential holds that it was read for. */
export function noteOrigin(session: Session, origin: Origin): void {
  origins.set(session, origin);
}

/**
 * Watches the session of a request.
 *
 * @throws {ConfigurationError} for a session that did not come from `@CurrentSession()`.
 */
export function watchOf(session: object): Origin {
  const origin = origins.get(session);
  if (origin) return origin;
  throw new ConfigurationError('takeUntilEnded: takes the session that @CurrentSession() gave, and no copy of it.');
}

/**
 * Completes an observable when the session of the request is over: when it ends on any instance, when its secrets are replaced or its
 * access tokens revoked, and when the access token expires that the request came with. For `@Sse()` handlers, and whatever else
 * outlives its request.
 *
 * ```ts
 * @Sse('prices')
 * prices(@CurrentSession() session: Session): Observable<MessageEvent> {
 *   return this.feed.prices$.pipe(takeUntilEnded(session));
 * }
 * ```
 *
 * @throws {ConfigurationError} for a session that did not come from `@CurrentSession()`.
 */
export function takeUntilEnded<T>(session: Pick<Session, 'id'>): MonoTypeOperatorFunction<T> {
  const { watch, expiresAt } = watchOf(session);
  return (source) =>
    new Observable<T>((subscriber) => {
      subscriber.add(watch.watch(session, { expiresAt, onOver: () => subscriber.complete() }));
      if (!subscriber.closed) subscriber.add(source.subscribe(subscriber));
    });
}
