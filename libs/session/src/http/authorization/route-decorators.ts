import { SetMetadata, type CustomDecorator } from '@nestjs/common';
import { ConfigurationError } from '../../model/errors.js';
import { notADuration, parseDuration, type Duration } from '../../options/duration.js';
import { isOrigin } from '../../options/origins.js';
import { markRealm } from '../../options/realm-mark.js';
import { assertRealmName } from '../../options/realm-name.js';
import { RULE_KEYS, type Transport as TransportName } from './route-rules.js';

/** Lets everybody in. A session is read only if a parameter asks for it; an invalid token is ignored. */
export const Public = (): CustomDecorator => SetMetadata(RULE_KEYS.public, true);

/** Lets in users with one of the roles. On a method it overrides the one on the class. Others: 403. */
export const Roles = (...roles: string[]): CustomDecorator => SetMetadata(RULE_KEYS.roles, Object.freeze([...roles]));

/**
 * The guards and parameter decorators of this class or method use the sessions of a realm (`SessionModule.forFeature`), and none
 * of the application's own. On a method it overrides the one on the class. Also for `@OnSessionEvent()`: the method hears the
 * events of the realm.
 *
 * @throws {ConfigurationError} when the class is loaded, if it is not the name of a realm; at boot, if there is no such realm.
 */
export function Realm(realm: string): ClassDecorator & MethodDecorator {
  assertRealmName(realm, 'Realm');
  return (target: object, _key?: string | symbol, descriptor?: PropertyDescriptor) =>
    markRealm(descriptor ? (descriptor.value as object) : target, realm);
}

/** Requests to this route do not count as an access: for polling, which must not keep a session alive. */
export const NoTouch = (): CustomDecorator => SetMetadata(RULE_KEYS.noTouch, true);

/** Lets in sessions that wait for a further factor. Other routes refuse them with 403. */
export const AllowPending = (): CustomDecorator => SetMetadata(RULE_KEYS.allowPending, true);

/** Lets in anonymous sessions, which other routes treat as not signed in. */
export const AllowAnonymous = (): CustomDecorator => SetMetadata(RULE_KEYS.allowAnonymous, true);

/** How a request is authenticated. */
export type Transport = TransportName;

/** Lets in only requests with a cookie, or only those with a bearer token. Others: 401. */
export const Transport = (only: Transport): CustomDecorator => SetMetadata(RULE_KEYS.transport, only);

/**
 * Marks the route on which users prove their identity again. On this route, for 30 seconds, the token that the last
 * step-up replaced is still recognised, so that a lost answer can be requested again; and a session with a client
 * mismatch is let in. Check the password before calling `stepUp()`.
 */
export const StepUp = (): CustomDecorator => SetMetadata(RULE_KEYS.stepUp, true);

/**
 * Lets in only users who proved their identity within this time (ASVS 5.0, 7.5.3). Others: 403 with the code
 * `reauthentication_required`, which a step-up resolves. An impersonated session is never let in.
 *
 * @param maxAge Default `session.freshness`, which is 5 minutes unless set.
 * @throws {ConfigurationError} when the class is loaded, if it is not a duration.
 */
export function RequireFresh(maxAge?: Duration): CustomDecorator {
  if (maxAge === undefined) return SetMetadata(RULE_KEYS.maxAge, 'default');
  const duration = parseDuration(maxAge);
  if (duration === null) throw new ConfigurationError(`RequireFresh: ${notADuration(maxAge)}.`);
  return SetMetadata(RULE_KEYS.maxAge, duration);
}

/**
 * Lets in only requests whose device is proven: the session is bound to a key of it, and the request has a bound cookie that is
 * still good (option `deviceBound`). Others: 403 with the code `session_not_bound`.
 */
export const RequireDeviceBound = (): CustomDecorator => SetMetadata(RULE_KEYS.deviceBound, true);

/**
 * Lets in only requests with an access token that is bound to a key, and a proof of that key (RFC 9449, option `jwt.dpop`). Others,
 * also those with a cookie: 401 with the code `dpop_required`.
 */
export const RequireDpop = (): CustomDecorator => SetMetadata(RULE_KEYS.dpop, true);

/**
 * Accepts requests from these other sites on this route, which changes state with the cookie: for a provider that
 * answers a sign-in by posting a form (OpenID Connect's `form_post`). List `null` for providers that hide their origin;
 * any page can send that, so check the `state` of the answer. All other sites stay refused (ASVS 5.0, 3.5.1).
 *
 * @throws {ConfigurationError} when the class is loaded, if it is not an origin.
 */
export function AllowCrossSite(...origins: [string, ...string[]]): CustomDecorator {
  const wrong = origins.find((origin) => origin !== 'null' && !isOrigin(origin));
  if (wrong !== undefined || origins.length === 0) {
    throw new ConfigurationError(
      `AllowCrossSite: ${wrong === undefined ? 'name at least one origin' : `${JSON.stringify(wrong)} is not an origin`}; write, for example, "https://login.example.com", or "null".`,
    );
  }
  return SetMetadata(RULE_KEYS.allowCrossSite, Object.freeze([...origins]));
}
