import { isSessionId } from '../model/ids.js';
import type { SessionEvent } from '../model/events.js';
import { END_REASONS, type EndReason } from '../model/session.js';

/** What scripts announce; `damaged` alone is told where it is seen, and to no other instance. */
const PUBLISHED = [
  'created',
  'renewed',
  'refreshed',
  'reuse-detected',
  'rotation-lost',
  'limit-reached',
  'new-device',
] as const;

type PublishedType = (typeof PUBLISHED)[number];
const HEAD = /^1 ([A-Za-z0-9_-]{1,32}) ([a-z-]{1,32}) (\S{32}) (\d{1,15}) ([a-z-]{1,32})\n([^]*)$/;

/** What processes find out by themselves, and what each must hold beside what all do. */
const FOUND_OUT: Readonly<Record<string, (event: Record<string, unknown>) => boolean>> = {
  'use-after-end': ({ reason }) => isReason(reason),
  'hijack-suspected': ({ signals, action }) => Array.isArray(signals) && signals.every(isText) && isText(action),
  'impersonation-started': ({ actor }) => isObject(actor) && isText(actor['userId']) && isText(actor['sessionId']),
};
const FOUND_OUT_HEAD = /^2 ([A-Za-z0-9_-]{1,32}) (\{[^]*\})$/;

/** The name of the instance that published a message, or null where it is none of ours. */
export function originOf(message: string): string | null {
  return /^[12] ([A-Za-z0-9_-]{1,32}) /.exec(message)?.[1] ?? null;
}

/**
 * Reads what a script published: `1 <instance> <type> <session id> <instant> <detail>`, a line break, the user id; or
 * `2 <instance> <JSON>` for what a process found out. Null for anything else: the channel is open to whoever can reach Redis.
 */
export function parseMessage(message: string, origin: string): SessionEvent | null {
  const match = HEAD.exec(message);
  if (!match) return parseFoundOut(message, origin);
  const [, instance, type, sessionId, at, detail, userId] = match;
  if (!type || !isSessionId(sessionId) || userId === undefined) return null;
  const base = { sessionId, userId, at: Number(at), remote: instance !== origin };
  if (type === 'ended') return isReason(detail) ? { ...base, type, reason: detail } : null;
  if (type === 'changed') return { ...base, type, ...(detail === 'tokens-revoked' && { cause: detail }) };
  return (PUBLISHED as readonly string[]).includes(type) ? { ...base, type: type as PublishedType } : null;
}

/** Whether other instances are to hear of an event that no script announces. */
export function isFoundOut({ type }: SessionEvent): boolean {
  return Object.hasOwn(FOUND_OUT, type);
}

/** Whether scripts put an event into a stream: the rule of `isKept` in lua/include/ends.lua. */
export function isKept(event: SessionEvent): boolean {
  return event.type === 'changed' ? event.cause !== undefined : event.type !== 'refreshed' && event.type !== 'damaged';
}

function parseFoundOut(message: string, origin: string): SessionEvent | null {
  const [, instance, json = ''] = FOUND_OUT_HEAD.exec(message) ?? [];
  if (instance === undefined) return null;
  let event: unknown;
  try {
    event = JSON.parse(json);
  } catch {
    return null;
  }
  if (!isObject(event) || !isSessionId(event['sessionId'])) return null;
  const { type, at, userId } = event;
  if (!isText(type) || !Object.hasOwn(FOUND_OUT, type) || !FOUND_OUT[type]?.(event)) return null;
  if (!Number.isSafeInteger(at) || !isText(userId)) return null;
  return { ...event, remote: instance !== origin } as unknown as SessionEvent;
}

function isReason(value: unknown): value is EndReason {
  return (END_REASONS as readonly unknown[]).includes(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
