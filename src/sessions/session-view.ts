import type { DeviceType, Session, SessionLocation } from 'nestjs-sessions';

/** A session as clients see it, without anything that grants access. Instants are epoch milliseconds. */
export interface SessionView {
  id: string;
  deviceId: string | null;
  deviceName: string | null;
  deviceType: DeviceType;
  /** Browser and system, such as "Chrome on Windows". */
  client: string | null;
  ip: string | null;
  lastLocation: SessionLocation | null;
  createdAt: number;
  lastAccess: number;
  expiresAt: number;
  /** Whether the user asked to be remembered. */
  rememberMe: boolean;
  /** Whether the browser has bound the session to a key of its device. */
  deviceBound: boolean;
  /** Whether the sign-in waits for a second factor. */
  pending: boolean;
  /** The id of the administrator who acts as the user in it. */
  actor: string | null;
  /** Whether it is the session of this request. */
  current: boolean;
}

export function viewOf(session: Session, currentId?: string): SessionView {
  return {
    id: session.id,
    deviceId: session.deviceId ?? null,
    deviceName: session.deviceName ?? null,
    deviceType: session.deviceType ?? 'unknown',
    client: session.metadata?.device ?? null,
    ip: session.metadata?.ip ?? null,
    lastLocation: session.lastLocation ?? null,
    createdAt: session.createdAt,
    lastAccess: session.lastAccess,
    expiresAt: session.expiresAt,
    rememberMe: session.rememberMe === true,
    deviceBound: session.deviceBound === true,
    pending: session.pending === true,
    actor: session.actor?.userId ?? null,
    current: session.id === currentId,
  };
}
