// Over 300 lines because the events, their fields and their documentation are read together.
import type { SessionErrorCode } from './errors.js';
import type { EndReason } from './session.js';

interface EventBase {
  /** When it happened, epoch ms by the store's clock. */
  readonly at: number;
  readonly sessionId: string;
  readonly userId: string;
  /** The user's tenant; absent without tenants. */
  readonly tenant?: string;
  /** The realm of the session; absent for the application's own. */
  readonly realm?: string;
  /** True when another instance announced it. */
  readonly remote: boolean;
}

export interface SessionCreatedEvent extends EventBase {
  readonly type: 'created';
}

/** Published exactly once for every session that ends, for any reason. */
export interface SessionEndedEvent extends EventBase {
  readonly type: 'ended';
  readonly reason: EndReason;
}

/** The session has a new secret (step-up, privilege change). */
export interface SessionRegeneratedEvent extends EventBase {
  readonly type: 'regenerated';
}

/** A refresh token was exchanged. */
export interface SessionRefreshedEvent extends EventBase {
  readonly type: 'refreshed';
}

/** Earlier reads of the session are out of date: its data, roles or revoked tokens changed. */
export interface SessionChangedEvent extends EventBase {
  readonly type: 'changed';
  /** Set if access tokens of the session were revoked. */
  readonly cause?: 'tokens-revoked';
}

/** A replaced token was presented again, so a copy of it exists. An `ended` event with `reuse` follows. */
export interface ReuseDetectedEvent extends EventBase {
  readonly type: 'reuse-detected';
}

/** A token newer than the stored state was presented: Redis had lost a write, and the token was accepted. */
export interface RotationLostEvent extends EventBase {
  readonly type: 'rotation-lost';
}

/** A sign-in was refused because the user has as many sessions as allowed. */
export interface LimitReachedEvent extends EventBase {
  readonly type: 'limit-reached';
}

/** A stored record cannot be read. It counts as no session, and none of it is used. */
export interface SessionDamagedEvent extends EventBase {
  readonly type: 'damaged';
  readonly detail: string;
}

/**
 * Redis lost writes: it restarted from an older snapshot, or a replica without the latest writes took over. Sign-ins,
 * changes and ends by other instances since then may be lost. `userId` and `sessionId` are empty. Each instance
 * announces it for itself.
 */
export interface WritesLostEvent extends EventBase {
  readonly type: 'writes-lost';
  /** Later writes may be lost, epoch ms by the store's clock; 0: all of them. */
  readonly since: number;
  /** How many sessions that this instance had ended were live again. They have ended again. */
  readonly endedAgain: number;
}

/**
 * Too few replicas confirmed an end or a revocation in time (option `minReplicas`): it has happened on the primary, its
 * caller got 503, and a failover may undo it. `userId` and `sessionId` are empty. Only the instance that asked announces
 * it.
 */
export interface EndUnconfirmedEvent extends EventBase {
  readonly type: 'end-unconfirmed';
  /** How many replicas confirmed it. */
  readonly confirmed: number;
  /** The option `minReplicas`. */
  readonly wanted: number;
}

/** The ways in which a client may differ from the one that signed in. */
export type HijackSignal = 'fingerprint' | 'ip';

/** The action for a client mismatch, from the most lenient to the strictest. */
export type SignalAction = 'off' | 'log' | 'step-up' | 'reject' | 'end';

/** A request looked like it came from a stolen session: the signals, and the action taken. */
export interface HijackSuspectedEvent extends EventBase {
  readonly type: 'hijack-suspected';
  readonly signals: readonly HijackSignal[];
  readonly action: Exclude<SignalAction, 'off'>;
}

/** A token of an ended session was presented. */
export interface UseAfterEndEvent extends EventBase {
  readonly type: 'use-after-end';
  readonly reason: EndReason;
}

/**
 * The user signed in on a device that none of their other sessions uses, compared by device id, or without one by
 * browser family, system and kind of device. Not emitted for a user without other sessions. The session names the
 * device.
 */
export interface NewDeviceEvent extends EventBase {
  readonly type: 'new-device';
}

/** An administrator began to act as the user of this session. */
export interface ImpersonationStartedEvent extends EventBase {
  readonly type: 'impersonation-started';
  /** The administrator, and the session that the impersonation ends with. */
  readonly actor: { readonly userId: string; readonly sessionId: string };
}

/** A browser bound the session to a key of its device; see the option `deviceBound`. */
export interface SessionBoundEvent extends EventBase {
  readonly type: 'bound';
}

/**
 * A registration or a renewal of a bound cookie was refused: the proof does not hold, the challenge is not ours, or the session is
 * bound already. Each reason at most once a minute for a session.
 */
export interface BindingFailedEvent extends EventBase {
  readonly type: 'binding-failed';
  readonly step: 'registration' | 'refresh';
  readonly reason: 'proof' | 'challenge' | 'bound';
}

/** A request of a bound session came without a valid bound cookie. Announced at most once a minute for a session. */
export interface BoundCookieMissingEvent extends EventBase {
  readonly type: 'bound-cookie-missing';
  readonly action: 'log' | 'step-up' | 'reject';
  /** Why the browser did not renew the cookie, where it says so: `unreachable`, `server_error` or `quota_exceeded`. */
  readonly skipped?: string;
}

/** The kinds of administrative actions. */
export type AdminActionKind =
  | 'end-session'
  | 'end-user'
  | 'end-users'
  | 'end-matching'
  | 'end-everybody'
  | 'account-disabled'
  | 'account-deleted'
  | 'roles-changed';

/**
 * An administrator ended sessions, or changed the roles of a user. Published once for an action, when it is over or failed;
 * `sessionId` and `userId` are empty where the action concerns several.
 */
export interface AdminActionEvent extends EventBase {
  readonly type: 'admin-action';
  readonly action: AdminActionKind;
  /** Who acted, as the caller named them. */
  readonly actor: string;
  /** Why, in the words of the caller. */
  readonly reason: string;
  /** How many sessions ended. */
  readonly ended: number;
  /** False if it failed on the way; repeating it does the rest. */
  readonly completed: boolean;
  /** The new roles, for `roles-changed` alone. */
  readonly roles?: readonly string[];
}

/** A sign-in or step-up succeeded. Announced only on the instance that served it. */
export interface AuthenticatedEvent extends EventBase {
  readonly type: 'authenticated';
  readonly step: 'sign-in' | 'step-up';
  /** The factors, as the application named them. */
  readonly amr: readonly string[];
  /** Whether a further factor is still missing. */
  readonly pending: boolean;
}

/** The part of events that are limited in number. */
interface Limited {
  /** Number of events of this kind that were omitted before this one; absent if none was. */
  readonly omitted?: number;
}

/**
 * A password or another factor was wrong; the application reported it. `userId` and `sessionId` are empty if unknown.
 * Announced only on the instance that served the request.
 */
export interface SignInFailedEvent extends EventBase, Limited {
  readonly type: 'sign-in-failed';
  readonly reason: 'wrong-credentials' | 'too-many-attempts' | 'locked';
  /** The factors that failed. */
  readonly failed: readonly string[];
  /** The factors that were verified. */
  readonly verified: readonly string[];
  readonly ip?: string;
}

/**
 * A request was refused: a missing role, another site, an invalid token. `userId` and `sessionId` are empty if unknown.
 * Announced only on the instance that refused it.
 */
export interface RequestRefusedEvent extends EventBase, Limited {
  readonly type: 'request-refused';
  /** The code in the response. */
  readonly code: SessionErrorCode;
  /** A detail that the response does not contain; for a token: `forged`, `expired` or `replaced`. */
  readonly reason?: string;
  readonly ip?: string;
  /** Controller and handler. */
  readonly route?: string;
}

export type SessionEvent =
  | SessionCreatedEvent
  | SessionEndedEvent
  | SessionRegeneratedEvent
  | SessionRefreshedEvent
  | SessionChangedEvent
  | ReuseDetectedEvent
  | RotationLostEvent
  | LimitReachedEvent
  | SessionDamagedEvent
  | WritesLostEvent
  | EndUnconfirmedEvent
  | HijackSuspectedEvent
  | UseAfterEndEvent
  | NewDeviceEvent
  | ImpersonationStartedEvent
  | SessionBoundEvent
  | BindingFailedEvent
  | BoundCookieMissingEvent
  | AdminActionEvent
  | AuthenticatedEvent
  | SignInFailedEvent
  | RequestRefusedEvent;

export type SessionEventType = SessionEvent['type'];

/** The event of a given type. */
export type SessionEventOf<K extends SessionEventType> = Extract<SessionEvent, { type: K }>;

/** Event names that select `ended` events by reason, named like the error codes for clients. */
export const ENDS_BY_KIND = {
  expired: ['idle', 'absolute'],
  evicted: ['evicted'],
  replaced: ['replaced'],
  revoked: ['revoked', 'admin', 'reuse', 'hijack'],
} as const satisfies Record<string, readonly EndReason[]>;

export type SessionEndKind = keyof typeof ENDS_BY_KIND;

/** The names to listen to: a type of event, or a kind of end. */
export type SessionEventName = SessionEventType | SessionEndKind;

/** The event with this name. */
export type SessionEventNamed<N extends SessionEventName> = N extends SessionEventType
  ? SessionEventOf<N>
  : N extends SessionEndKind
    ? SessionEndedEvent & { readonly reason: (typeof ENDS_BY_KIND)[N][number] }
    : never;

/** Whether an event has this name. */
export function isNamed<N extends SessionEventName>(event: SessionEvent, name: N): event is SessionEventNamed<N> {
  if (event.type === name) return true;
  const reasons: readonly EndReason[] | undefined = (ENDS_BY_KIND as Partial<Record<string, readonly EndReason[]>>)[
    name
  ];
  return event.type === 'ended' && reasons !== undefined && reasons.includes(event.reason);
}

const EVENT_TYPES: Readonly<Record<SessionEventType, true>> = {
  created: true,
  ended: true,
  regenerated: true,
  refreshed: true,
  changed: true,
  'reuse-detected': true,
  'rotation-lost': true,
  'limit-reached': true,
  damaged: true,
  'writes-lost': true,
  'end-unconfirmed': true,
  'hijack-suspected': true,
  'use-after-end': true,
  'new-device': true,
  'impersonation-started': true,
  bound: true,
  'binding-failed': true,
  'bound-cookie-missing': true,
  'admin-action': true,
  authenticated: true,
  'sign-in-failed': true,
  'request-refused': true,
};

/** Every type of event. */
export const SESSION_EVENT_TYPES = Object.keys(EVENT_TYPES) as readonly SessionEventType[];

/** Every name to listen to. */
export const SESSION_EVENT_NAMES: readonly SessionEventName[] = [
  ...SESSION_EVENT_TYPES,
  ...(Object.keys(ENDS_BY_KIND) as SessionEndKind[]),
];

/** Whether an event is a matter of the server, and so of every tenant. */
export function concernsAllTenants({ type }: SessionEvent): boolean {
  return type === 'writes-lost' || type === 'end-unconfirmed';
}

/** Whether an event belongs to a tenant; '' means none. */
export function isOfTenant(event: SessionEvent, tenant: string): boolean {
  return (event.tenant ?? '') === tenant;
}

/** The event, marked as this tenant's. */
export function withTenant(event: SessionEvent, tenant: string): SessionEvent {
  if (isOfTenant(event, tenant)) return event;
  const { tenant: _other, ...rest } = event;
  return tenant === '' ? rest : { ...rest, tenant };
}
