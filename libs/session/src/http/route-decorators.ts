import { SetMetadata, type CustomDecorator } from '@nestjs/common';
import { ConfigurationError } from '../model/errors.js';
import { notADuration, parseDuration, type Duration } from '../options/duration.js';
import { RULE_KEYS, type Transport as TransportName } from './route-rules.js';

/** Lets everybody in. No session is looked up unless a parameter asks for it; a token that does not hold is ignored. */
export const Public = (): CustomDecorator => SetMetadata(RULE_KEYS.public, true);

/** Lets in whoever has one of the roles. On a method it counts before the one on the class. Others: 403. */
export const Roles = (...roles: string[]): CustomDecorator => SetMetadata(RULE_KEYS.roles, Object.freeze([...roles]));

/** A request to this route does not count as an access: for polling, which must not keep a session alive. */
export const NoTouch = (): CustomDecorator => SetMetadata(RULE_KEYS.noTouch, true);

/** Lets in sessions that still wait for a further factor. Everywhere else they are refused with 403. */
export const AllowPending = (): CustomDecorator => SetMetadata(RULE_KEYS.allowPending, true);

/** Lets in anonymous sessions, which everywhere else count as not signed in. */
export const AllowAnonymous = (): CustomDecorator => SetMetadata(RULE_KEYS.allowAnonymous, true);

/** How a request is authenticated. */
export type Transport = TransportName;

/** Lets in only requests with a cookie, or only those with a bearer token. Others: 401. */
export const Transport = (only: Transport): CustomDecorator => SetMetadata(RULE_KEYS.transport, only);

/**
 * Marks the route on which users prove again who they are: there, and for 30 seconds, the token that the last step-up
 * replaced is recognised, so that a lost answer can be asked for again; and a session whose client `security` suspects is let
 * in. Check the password before calling `stepUp()`.
 */
export const StepUp = (): CustomDecorator => SetMetadata(RULE_KEYS.stepUp, true);

/**
 * Lets in only those who proved who they are at most so long ago (ASVS 5.0, 7.5.3). Others: 403 with the code
 * `reauthentication_required`, to be answered by a step-up. An impersonated session is never let in.
 *
 * @param maxAge Default `session.freshness`, which is 5 minutes unless set.
 * @throws {ConfigurationError} when the class is loaded, for what is no duration.
 */
export function RequireFresh(maxAge?: Duration): CustomDecorator {
  if (maxAge === undefined) return SetMetadata(RULE_KEYS.maxAge, 'default');
  const duration = parseDuration(maxAge);
  if (duration === null) throw new ConfigurationError(`RequireFresh: ${notADuration(maxAge)}.`);
  return SetMetadata(RULE_KEYS.maxAge, duration);
}
