import type { SessionEvent } from './events.js';
import type { EndReason } from './session.js';

/** How grave an event is, after the OWASP logging vocabulary. */
export type EventSeverity = 'INFO' | 'WARN' | 'CRITICAL';

/** An event as it stands in a log: of plain values, and without a secret, as events have none. */
export interface EventLogEntry {
  /** After the OWASP logging vocabulary where that has a name. */
  readonly event: string;
  readonly severity: EventSeverity;
  /** ISO 8601. */
  readonly at: string;
  readonly userId: string;
  readonly sessionId: string;
  readonly reason?: EndReason;
  readonly [detail: string]: string | undefined;
}

/** Ends after which an honest client may well come back. */
const ORDINARY: readonly EndReason[] = ['idle', 'absolute', 'evicted', 'replaced'];

/**
 * What to log of an event. Names and severities are those of the OWASP logging vocabulary (`session_created`,
 * `session_renewed`, `session_expired`, `session_use_after_expire`, `authn_token_created`, `authn_token_revoked`,
 * `authn_token_reuse`); what it has no name for begins with `session_`. Control characters are escaped.
 */
export function logEntryOf(event: SessionEvent): EventLogEntry {
  const { at, userId, sessionId } = event;
  const [name, severity, details] = describe(event);
  const entry = { event: name, severity, at: new Date(at).toISOString(), userId, sessionId, ...details };
  return Object.fromEntries(
    Object.entries(entry).map(([key, value]) => [key, oneLine(value)]),
  ) as unknown as EventLogEntry;
}

function describe(event: SessionEvent): [name: string, severity: EventSeverity, details?: Record<string, string>] {
  switch (event.type) {
    case 'created':
      return ['session_created', 'INFO'];
    case 'renewed':
      return ['session_renewed', 'INFO'];
    case 'refreshed':
      return ['authn_token_created', 'INFO'];
    case 'changed':
      return [event.cause === undefined ? 'session_changed' : 'authn_token_revoked', 'INFO'];
    case 'ended':
      return ['session_expired', 'INFO', { reason: event.reason }];
    case 'use-after-end':
      return [
        'session_use_after_expire',
        ORDINARY.includes(event.reason) ? 'INFO' : 'CRITICAL',
        { reason: event.reason },
      ];
    case 'reuse-detected':
      return ['authn_token_reuse', 'CRITICAL'];
    case 'hijack-suspected':
      return ['session_hijack_suspected', 'CRITICAL', { signals: event.signals.join(','), action: event.action }];
    case 'new-device':
      return ['session_new_device', 'WARN'];
    case 'impersonation-started':
      return [
        'session_impersonation_started',
        'WARN',
        { actorId: event.actor.userId, actorSessionId: event.actor.sessionId },
      ];
    case 'limit-reached':
      return ['session_limit_reached', 'WARN'];
    case 'rotation-lost':
      return ['session_rotation_lost', 'WARN'];
    case 'damaged':
      return ['session_damaged', 'WARN', { detail: event.detail }];
  }
}

/** Whoever chose a user id must not get to write a line of their own, nor to move a terminal's cursor. */
function oneLine(value: string): string {
  return value.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}
