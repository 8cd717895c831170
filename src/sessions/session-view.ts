import type { DeviceType, Session, SessionLocation } from 'nestjs-sessions';

/** What clients see of a session: nothing that lets anyone in. Instants are epoch milliseconds. */
export interface SessionView {
  id: string;
  deviceId: string | null;
  deviceName: string | null;
  deviceType: DeviceType;
  ip: string | null;
  lastLocation: SessionLocation | null;
  createdAt: number;
  lastAccess: number;
  expiresAt: number;
  /** Whether it is the session of this very request. */
  current: boolean;
}

export function viewOf(session: Session, currentId?: string): SessionView {
  return {
    id: session.id,
    deviceId: session.deviceId ?? null,
    deviceName: session.deviceName ?? null,
    deviceType: session.deviceType ?? 'unknown',
    ip: session.metadata?.ip ?? null,
    lastLocation: session.lastLocation ?? null,
    createdAt: session.createdAt,
    lastAccess: session.lastAccess,
    expiresAt: session.expiresAt,
    current: session.id === currentId,
  };
}
