import { isSessionId } from '../../model/ids.js';
import type { SessionEvent } from '../../model/events.js';
import { END_REASONS, type EndReason } from '../../model/session.js';
import type { BlacklistRefusal } from '../../ports/token-blacklist.js';

/** Events that scripts announce. Only `damaged` stays in the process that found it. */
const PUBLISHED = [
  'created',
  'regenerated',
  'refreshed',
  'reuse-detected',
  'rotation-lost',
  'limit-reached',
  'new-device',
  'bound',
] as const;

type PublishedType = (typeof PUBLISHED)[number];
const HEAD = /^([13]) ([A-Za-z0-9_-]{1,32}) ([a-z-]{1,32}) (\S{32}) (\d{1,15}) ([a-z-]{1,32}|\d{1,16})\n([^]*)$/;
/** A session with its deadline. `due` is no event: it only announces that the deadline became earlier. */
const DEADLINE = /^[13] [A-Za-z0-9_-]{1,32} (?:created|due) (\S{32}) \d{1,15} (\d{1,16})\n/;
const HEARTBEAT = /^4 ([A-Za-z0-9_-]{1,32}) (\d{1,12})$/;
const REFUSAL = /^5 (token|subject) ([A-Za-z0-9_-]{43})$/;
const TENANT_AND_USER = /^([^\n]+)\n([^]*)$/;

/** Events that processes find, and the required fields of each. */
const FOUND_OUT: Readonly<Record<string, (event: Record<string, unknown>) => boolean>> = {
  'use-after-end': ({ reason }) => isReason(reason),
  'hijack-suspected': ({ signals, action }) => Array.isArray(signals) && signals.every(isText) && isText(action),
  'binding-failed': ({ step, reason }) => isText(step) && isText(reason),
  'bound-cookie-missing': ({ action }) => isText(action),
  'impersonation-started': ({ actor }) => isObject(actor) && isText(actor['userId']) && isText(actor['sessionId']),
  'admin-action': ({ action, actor, reason, ended, completed, roles }) =>
    [action, actor, reason].every(isText) &&
    Number.isSafeInteger(ended) &&
    typeof completed === 'boolean' &&
    (roles === undefined || (Array.isArray(roles) && roles.every(isText))),
};
const FOUND_OUT_HEAD = /^2 ([A-Za-z0-9_-]{1,32}) (\{[^]*\})$/;

/** The name of the instance that published a message, or null if the message has another format. */
export function originOf(message: string): string | null {
  return /^[123] ([A-Za-z0-9_-]{1,32}) /.exec(message)?.[1] ?? null;
}

/**
 * Parses a message of a script: `1 <instance> <type> <session id> <instant> <detail>`, a line break, the user id; with
 * 3 in front, the line of a tenant precedes the user id; or `2 <instance> <JSON>` for an event that a process found.
 * Null for anything else: everybody who can reach Redis can write to the channel.
 */
export function parseMessage(message: string, origin: string): SessionEvent | null {
  const match = HEAD.exec(message);
  if (!match) return parseFoundOut(message, origin);
  const [, form, instance, type, sessionId, at, detail, rest] = match;
  if (!type || !isSessionId(sessionId) || rest === undefined) return null;
  const [tenant, userId] = form === '1' ? ['', rest] : (TENANT_AND_USER.exec(rest)?.slice(1) ?? []);
  if (tenant === undefined || userId === undefined) return null;
  const base = { sessionId, userId, ...(tenant !== '' && { tenant }), at: Number(at), remote: instance !== origin };
  if (type === 'ended') return isReason(detail) ? { ...base, type, reason: detail } : null;
  if (type === 'changed') return { ...base, type, ...(detail === 'tokens-revoked' && { cause: detail }) };
  return (PUBLISHED as readonly string[]).includes(type) ? { ...base, type: type as PublishedType } : null;
}

const ENDED = /^[13] [A-Za-z0-9_-]{1,32} ended (\S{32}) (\d{1,15}) ([a-z-]{1,32})\n/;

/** The end that a message announces; null for all others. */
export function endedIn(message: string): { sessionId: string; at: number; reason: EndReason } | null {
  const [, sessionId, at, reason] = ENDED.exec(message) ?? [];
  return isSessionId(sessionId) && isReason(reason) ? { sessionId, at: Number(at), reason } : null;
}

/** A deadline that may be earlier than all others. */
export interface SessionDeadline {
  readonly sessionId: string;
  /** Epoch ms. */
  readonly deadline: number;
}

/** The deadline in a message about a new session or an earlier deadline; null for all others. */
export function parseDeadline(message: string): SessionDeadline | null {
  const [, sessionId, deadline] = DEADLINE.exec(message) ?? [];
  return isSessionId(sessionId) ? { sessionId, deadline: Number(deadline) } : null;
}

/** Announcement of the instance that sweeps. */
export interface SweeperHeartbeat {
  readonly origin: string;
  /** How long the others need not try to take over, ms. 0: the instance stops. */
  readonly ttl: number;
}

export function heartbeat({ origin, ttl }: SweeperHeartbeat): string {
  return `4 ${origin} ${ttl}`;
}

export function parseHeartbeat(message: string): SweeperHeartbeat | null {
  const [, origin, ttl] = HEARTBEAT.exec(message) ?? [];
  return origin === undefined ? null : { origin, ttl: Number(ttl) };
}

/** What the blacklist tells of a token or subject that it refuses from now on. */
export function refusalMessage({ kind, digest }: BlacklistRefusal): string {
  return `5 ${kind} ${digest}`;
}

export function parseRefusal(message: string): BlacklistRefusal | null {
  const [, kind, digest] = REFUSAL.exec(message) ?? [];
  return digest === undefined ? null : { kind: kind as BlacklistRefusal['kind'], digest };
}

/** Whether other instances must receive an event that no script announces. */
export function isFoundOut({ type }: SessionEvent): boolean {
  return Object.hasOwn(FOUND_OUT, type);
}

/** Whether scripts write an event to a stream: the rule of `isKept` in lua/include/ends.lua. */
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
  if (!isObject(event)) return null;
  const { type, at, userId, tenant, sessionId } = event;
  // An action on several users names no session.
  if (!isSessionId(sessionId) && !(type === 'admin-action' && sessionId === '')) return null;
  if (tenant !== undefined && (!isText(tenant) || tenant === '')) return null;
  if (!isText(type) || !Object.hasOwn(FOUND_OUT, type) || !FOUND_OUT[type]?.(event)) return null;
  if (!Number.isSafeInteger(at) || !isText(userId)) return null;
  // FOUND_OUT has checked the fields of this type, which the compiler cannot follow.
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
