import { isSessionId } from '../model/ids.js';
import type { SessionEvent } from '../model/events.js';
import { END_REASONS, type EndReason } from '../model/session.js';

/** What scripts announce; `damaged` alone is told where it is seen, and to no other instance. */
const PUBLISHED = ['created', 'changed', 'renewed', 'refreshed', 'reuse-detected', 'rotation-lost', 'limit-reached', 'new-device'] as const;

type PublishedType = (typeof PUBLISHED)[number];
const HEAD = /^1 ([A-Za-z0-9_-]{1,32}) ([a-z-]{1,32}) (\S{32}) (\d{1,15}) ([a-z-]{1,32})\n([^]*)$/;

/**
 * Reads what a script published: `1 <instance> <type> <session id> <instant> <detail>`, a line break, the user id.
 * Null for anything else: the channel is open to whoever can reach Redis.
 */
export function parseMessage(message: string, origin: string): SessionEvent | null {
  const match = HEAD.exec(message);
  if (!match) return null;
  const [, instance, type, sessionId, at, detail, userId] = match;
  if (!type || !isSessionId(sessionId) || userId === undefined) return null;
  const base = { sessionId, userId, at: Number(at), remote: instance !== origin };
  if (type === 'ended') {
    return (END_REASONS as readonly string[]).includes(detail ?? '') ? { ...base, type, reason: detail as EndReason } : null;
  }
  return (PUBLISHED as readonly string[]).includes(type) ? { ...base, type: type as PublishedType } : null;
}
