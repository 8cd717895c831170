import { SetMetadata, type CustomDecorator } from '@nestjs/common';
import { ConfigurationError } from '../model/errors.js';
import { notADuration, parseDuration, type Duration } from '../options/duration.js';
import { RULE_KEYS } from './route-rules.js';

/** Lets everybody in. No session is looked up unless a parameter asks for it; a token that does not hold is ignored. */
export const Public = (): CustomDecorator => SetMetadata(RULE_KEYS.public, true);

/** Lets in whoever has one of the roles. On a method it counts before the one on the class. Others: 403. */
export const Roles = (...roles: string[]): CustomDecorator => SetMetadata(RULE_KEYS.roles, Object.freeze([...roles]));

/** A request to this route does not count as an access: for polling, which must not keep a session alive. */
export const NoTouch = (): CustomDecorator => SetMetadata(RULE_KEYS.noTouch, true);

/** Lets in sessions that still wait for a further factor. Everywhere else they are refused with 403. */
export const AllowPending = (): CustomDecorator => SetMetadata(RULE_KEYS.allowPending, true);

/**
 * Marks the route on which users prove again who they are: there, and for 30 seconds, the token that the last step-up
 * replaced is recognised, so that a lost answer can be asked for again. Check the password before calling `stepUp()`.
 */
export const StepUp = (): CustomDecorator => SetMetadata(RULE_KEYS.stepUp, true);

/**
 * Lets in only those who proved who they are at most so long ago (ASVS 5.0, 7.5.3). Others: 403 with the code
 * `reauthentication_required`, to be answered by a step-up.
 *
 * @throws {ConfigurationError} when the class is loaded, for what is no duration.
 */
export function RequireFresh(maxAge: Duration): CustomDecorator {
  const duration = parseDuration(maxAge);
  if (duration === null) throw new ConfigurationError(`RequireFresh: ${notADuration(maxAge)}.`);
  return SetMetadata(RULE_KEYS.maxAge, duration);
}
