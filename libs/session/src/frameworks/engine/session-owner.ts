import { InvalidArgumentError } from '../../model/errors.js';
import type { FrameworkSessionOptions, ForeignSession, SessionOwner } from '../../options/framework-session-options.js';

/**
 * The user of a session with the id as a string, or null while nobody has signed in.
 *
 * @throws {InvalidArgumentError}
 */
export function ownerOf(
  session: ForeignSession,
  userOf: FrameworkSessionOptions['userOf'],
): (SessionOwner & { id: string }) | null {
  const found = userOf ? userOf(session) : defaultOwner(session);
  if (found === null || found === undefined || found === '') return null;
  const owner = typeof found === 'object' ? found : { id: found };
  if (!isUserId(owner.id))
    throw new InvalidArgumentError('userOf', 'must return a user id, { id, email, roles }, or nothing');
  return { ...owner, id: String(owner.id) };
}

/** Where passport stores its user, then the two places that most applications use. */
function defaultOwner({ passport, userId, user }: ForeignSession): string | number | null {
  const ofPassport = fieldOf(passport, 'user');
  return [ofPassport, fieldOf(ofPassport, 'id'), userId, fieldOf(user, 'id')].find(isUserId) ?? null;
}

/** The same on Fastify, where @fastify/passport stores the serialized user in `passport` itself. */
export function fastifyOwner(session: ForeignSession): string | number | null {
  const { passport } = session;
  return [passport, fieldOf(passport, 'id')].find(isUserId) ?? defaultOwner(session);
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function isUserId(value: unknown): value is string | number {
  return (typeof value === 'string' && value !== '') || (typeof value === 'number' && Number.isFinite(value));
}
