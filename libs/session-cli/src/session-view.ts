import type { Session } from 'nestjs-sessions';
import { table } from './terminal.js';

/** A session without the application's data, which may contain anything. */
export function viewOf({ data: _data, ...session }: Session): Omit<Session, 'data'> {
  return session;
}

/** One line a session. */
export function sessionTable(sessions: readonly Session[], now: number): string[] {
  return table(
    ['SESSION', 'USER', 'DEVICE', 'ADDRESS', 'AGE', 'LAST ACCESS', 'ROLES'],
    sessions.map((session) => [
      session.id,
      session.userId,
      session.deviceName ?? session.metadata?.device ?? session.deviceType ?? '-',
      session.lastLocation?.ip ?? session.metadata?.ip ?? '-',
      span(now - session.createdAt),
      `${span(now - session.lastAccess)} ago`,
      session.roles.join(','),
    ]),
  );
}

/** A duration in its largest whole unit. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}
