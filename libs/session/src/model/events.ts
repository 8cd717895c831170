import type { EndReason } from './session.js';

interface EventBase {
  /** When it happened, epoch ms by the store's clock. */
  readonly at: number;
  readonly sessionId: string;
  readonly userId: string;
  /** True when another instance announced it. */
  readonly remote: boolean;
}

export interface SessionCreatedEvent extends EventBase {
  readonly type: 'created';
}

/** Exactly one for every session that ends, whatever ended it. */
export interface SessionEndedEvent extends EventBase {
  readonly type: 'ended';
  readonly reason: EndReason;
}

/** The session's secret was drawn anew (step-up, privilege change). */
export interface SessionRenewedEvent extends EventBase {
  readonly type: 'renewed';
}

/** A refresh token was exchanged. */
export interface SessionRefreshedEvent extends EventBase {
  readonly type: 'refreshed';
}

/** What an instance may have read of the session is no longer true: data, roles, a revoked token. */
export interface SessionChangedEvent extends EventBase {
  readonly type: 'changed';
  /** Set where access tokens of the session were revoked. */
  readonly cause?: 'tokens-revoked';
}

/** A token came back that was rotated away too long ago: somebody holds a copy. An `ended` event with `reuse` follows. */
export interface ReuseDetectedEvent extends EventBase {
  readonly type: 'reuse-detected';
}

/** A token newer than the store's memory was presented: the store lost a write and took the token's word. */
export interface RotationLostEvent extends EventBase {
  readonly type: 'rotation-lost';
}

/** A sign-in was refused because the user has as many sessions as allowed. */
export interface LimitReachedEvent extends EventBase {
  readonly type: 'limit-reached';
}

/** A stored record cannot be read. It counts as no session; nothing of it is used. */
export interface SessionDamagedEvent extends EventBase {
  readonly type: 'damaged';
  readonly detail: string;
}

/** What may look wrong with the client of a session. */
export type HijackSignal = 'fingerprint' | 'ip';

/** What happens when a session turns up where it should not, from the mildest to the gravest. */
export type SignalAction = 'off' | 'log' | 'step-up' | 'reject' | 'end';

/** Something looked like a stolen session; which signals, and what was done. */
export interface HijackSuspectedEvent extends EventBase {
  readonly type: 'hijack-suspected';
  readonly signals: readonly HijackSignal[];
  readonly action: Exclude<SignalAction, 'off'>;
}

/** A token of an ended session came back. */
export interface UseAfterEndEvent extends EventBase {
  readonly type: 'use-after-end';
  readonly reason: EndReason;
}

/**
 * The user signed in on a device that none of their other sessions is on: told by the device id, and where there is none by
 * browser family, system and device kind. A user who had no other session causes none. The session says what device it is.
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

export type SessionEvent =
  | SessionCreatedEvent
  | SessionEndedEvent
  | SessionRenewedEvent
  | SessionRefreshedEvent
  | SessionChangedEvent
  | ReuseDetectedEvent
  | RotationLostEvent
  | LimitReachedEvent
  | SessionDamagedEvent
  | HijackSuspectedEvent
  | UseAfterEndEvent
  | NewDeviceEvent
  | ImpersonationStartedEvent;

export type SessionEventType = SessionEvent['type'];

/** The event of a given type. */
export type SessionEventOf<K extends SessionEventType> = Extract<SessionEvent, { type: K }>;

/** Names for ends of one kind, after the codes that clients are told: what somebody listens to who cares for no other end. */
export const ENDS_BY_KIND = {
  expired: ['idle', 'absolute'],
  evicted: ['evicted'],
  replaced: ['replaced'],
  revoked: ['revoked', 'admin', 'reuse', 'hijack'],
} as const satisfies Record<string, readonly EndReason[]>;

export type SessionEndKind = keyof typeof ENDS_BY_KIND;

/** What can be listened to: a type of event, or a kind of end. */
export type SessionEventName = SessionEventType | SessionEndKind;

/** The event that bears a name. */
export type SessionEventNamed<N extends SessionEventName> = N extends SessionEventType
  ? SessionEventOf<N>
  : N extends SessionEndKind
    ? SessionEndedEvent & { readonly reason: (typeof ENDS_BY_KIND)[N][number] }
    : never;

/** Whether an event bears a name. */
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
  renewed: true,
  refreshed: true,
  changed: true,
  'reuse-detected': true,
  'rotation-lost': true,
  'limit-reached': true,
  damaged: true,
  'hijack-suspected': true,
  'use-after-end': true,
  'new-device': true,
  'impersonation-started': true,
};

/** Every type of event. */
export const SESSION_EVENT_TYPES = Object.keys(EVENT_TYPES) as readonly SessionEventType[];

/** Everything that can be listened to. */
export const SESSION_EVENT_NAMES: readonly SessionEventName[] = [
  ...SESSION_EVENT_TYPES,
  ...(Object.keys(ENDS_BY_KIND) as SessionEndKind[]),
];
