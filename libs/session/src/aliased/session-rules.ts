import { InvalidArgumentError } from '../model/errors.js';
import { LONGEST_DURATION } from '../options/duration.js';
import type {
  AliasedSessionOptions,
  ForeignSession,
  ResolvedAliasedSessionOptions,
  SessionOwner,
} from '../options/aliased-session-options.js';

/**
 * How long a session lives from now on, ms; 0 or less where it is over. Its cookie's end where it has one, else `ttl`.
 * Measured by this process's clock, by which the cookie's end was set, so that the store's may differ.
 *
 * @throws {InvalidArgumentError}
 */
export function lifetimeOf(
  session: ForeignSession,
  options: Pick<ResolvedAliasedSessionOptions, 'ttl' | 'disableTTL'>,
): number {
  const { ttl } = options;
  const expires = session.cookie?.expires;
  let lifetime: number;
  if (typeof ttl === 'function') {
    lifetime = ttl(session) * 1000;
    if (!Number.isFinite(lifetime)) throw new InvalidArgumentError('ttl', 'must return a number of seconds');
  } else if (expires === undefined || expires === null || typeof expires === 'boolean') {
    lifetime = ttl * 1000;
  } else {
    lifetime = new Date(expires).getTime() - Date.now();
    if (!Number.isFinite(lifetime)) throw new InvalidArgumentError('cookie.expires', 'must be a date');
  }
  if (lifetime > 0 && options.disableTTL) return LONGEST_DURATION;
  return Math.min(Math.ceil(lifetime), LONGEST_DURATION);
}

/** The user of a session in the form in which it is kept, or null while there is none. */
export function ownerOf(
  session: ForeignSession,
  userOf: AliasedSessionOptions['userOf'],
): (SessionOwner & { id: string }) | null {
  const found = userOf ? userOf(session) : defaultOwner(session);
  if (found === null || found === undefined || found === '') return null;
  const owner = typeof found === 'object' ? found : { id: found };
  if (!isUserId(owner.id))
    throw new InvalidArgumentError('userOf', 'must return a user id, { id, email, roles }, or nothing');
  return { ...owner, id: String(owner.id) };
}

/** Where passport keeps its user, and where most others do. */
function defaultOwner({ passport, userId, user }: ForeignSession): string | number | null {
  const ofPassport = fieldOf(passport, 'user');
  return [ofPassport, fieldOf(ofPassport, 'id'), userId, fieldOf(user, 'id')].find(isUserId) ?? null;
}

/** The same on Fastify, where @fastify/passport keeps what its serializer made of the user in `passport` itself. */
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
