import type { SessionErrorCode } from './errors.js';
import type { RequestRefusedEvent, SessionEvent, SignInFailedEvent } from './events.js';
import type { EndReason } from './session.js';

/** Severity of an event, as in the OWASP logging vocabulary. */
export type EventSeverity = 'INFO' | 'WARN' | 'CRITICAL';

/** An event as plain values for a log. Events hold no secrets. */
export interface EventLogEntry {
  /** The OWASP name, if there is one. */
  readonly event: string;
  readonly severity: EventSeverity;
  /** ISO 8601. */
  readonly at: string;
  readonly userId: string;
  readonly sessionId: string;
  /** For an end, a failed sign-in or a refusal. */
  readonly reason?: string;
  readonly [detail: string]: string | undefined;
}

/** After these ends, an honest client may still present its token. */
const ORDINARY: readonly EndReason[] = ['idle', 'absolute', 'evicted', 'replaced'];

/**
 * The log entry of an event. Names and severities are those of the OWASP logging vocabulary (`session_created`,
 * `session_expired`, `session_use_after_expire`, `authn_login_success`, `authn_login_fail`, `authn_login_fail_max`,
 * `authn_login_lock`, `authn_token_created`, `authn_token_revoked`, `authn_token_reuse`, `authz_fail`,
 * `malicious_cors`); names outside of it begin with `session_`. Control characters are escaped.
 */
export function logEntryOf(event: SessionEvent): EventLogEntry {
  const { at, userId, sessionId, realm } = event;
  const [name, severity, details] = describe(event);
  const entry = {
    event: name,
    severity,
    at: new Date(at).toISOString(),
    userId,
    sessionId,
    ...details,
    ...(realm !== undefined && { realm }),
  };
  return Object.fromEntries(
    Object.entries(entry).map(([key, value]) => [key, oneLine(value)]),
  ) as unknown as EventLogEntry;
}

function describe(event: SessionEvent): [name: string, severity: EventSeverity, details?: Record<string, string>] {
  switch (event.type) {
    case 'created':
      return ['session_created', 'INFO'];
    case 'regenerated':
      return ['session_regenerated', 'INFO'];
    case 'refreshed':
      return ['authn_token_created', 'INFO'];
    case 'changed':
      return [event.cause === undefined ? 'session_changed' : 'authn_token_revoked', 'INFO'];
    case 'ended':
      return [event.reason === 'logout' ? 'session_logout' : 'session_expired', 'INFO', { reason: event.reason }];
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
    case 'bound':
      return ['session_bound', 'INFO'];
    case 'binding-failed':
      return ['session_binding_failed', 'WARN', { step: event.step, reason: event.reason }];
    case 'bound-cookie-missing':
      return [
        'session_bound_cookie_missing',
        'CRITICAL',
        { action: event.action, ...(event.skipped !== undefined && { skipped: event.skipped }) },
      ];
    case 'admin-action':
      return [
        'session_admin_action',
        'WARN',
        {
          action: event.action,
          actorId: event.actor,
          reason: event.reason,
          ended: String(event.ended),
          completed: String(event.completed),
          ...(event.roles && { roles: event.roles.join(',') }),
        },
      ];
    case 'limit-reached':
      return ['session_limit_reached', 'WARN'];
    case 'rotation-lost':
      return ['session_rotation_lost', 'WARN'];
    case 'damaged':
      return ['session_damaged', 'WARN', { detail: event.detail }];
    case 'writes-lost':
      return [
        'session_writes_lost',
        'CRITICAL',
        { since: new Date(event.since).toISOString(), endedAgain: String(event.endedAgain) },
      ];
    case 'end-unconfirmed':
      return ['session_end_unconfirmed', 'WARN', { confirmed: String(event.confirmed), wanted: String(event.wanted) }];
    case 'authenticated':
      return [
        'authn_login_success',
        'INFO',
        { step: event.step, amr: event.amr.join(','), ...(event.pending && { pending: 'true' }) },
      ];
    case 'sign-in-failed':
      return [
        FAILED_SIGN_IN[event.reason],
        'WARN',
        {
          reason: event.reason,
          failed: event.failed.join(','),
          verified: event.verified.join(','),
          ...ofRequest(event),
        },
      ];
    case 'request-refused':
      return [
        ...refusalOf(event),
        { code: event.code, ...(event.reason !== undefined && { reason: event.reason }), ...ofRequest(event) },
      ];
  }
}

const FAILED_SIGN_IN = {
  'wrong-credentials': 'authn_login_fail',
  'too-many-attempts': 'authn_login_fail_max',
  locked: 'authn_login_lock',
} as const satisfies Record<SignInFailedEvent['reason'], string>;

/** Refusals in ordinary use: the client refreshes its token, or the page asks for a further proof. */
const ORDINARY_REFUSALS: ReadonlySet<SessionErrorCode> = new Set([
  'reauthentication_required',
  'step_up_required',
  'pending_authentication',
]);

function refusalOf({ code, reason }: RequestRefusedEvent): [name: string, severity: EventSeverity] {
  if (code === 'csrf_rejected') return ['malicious_cors', 'CRITICAL'];
  if (code === 'insufficient_scope') return ['authz_fail', 'CRITICAL'];
  if (ORDINARY_REFUSALS.has(code)) return ['authz_fail', 'INFO'];
  if (code === 'invalid_token') {
    return ['session_token_refused', reason === 'forged' ? 'CRITICAL' : reason === 'expired' ? 'INFO' : 'WARN'];
  }
  return ['session_request_refused', 'WARN'];
}

function ofRequest({
  ip,
  route,
  omitted,
}: {
  readonly ip?: string;
  readonly route?: string;
  readonly omitted?: number;
}): Record<string, string> {
  return {
    ...(ip !== undefined && { ip }),
    ...(route !== undefined && { route }),
    ...(omitted !== undefined && { omitted: String(omitted) }),
  };
}

/** A user id must not be able to forge a log line or move a terminal's cursor. */
function oneLine(value: string): string {
  return value.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}
