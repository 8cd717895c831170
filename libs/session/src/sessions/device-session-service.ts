import type { DeviceSession, EndReason, NewSession, SessionData } from '../model/session.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionStore } from '../ports/session-store.js';
import { limitFor } from './session-limit.js';
import { inTenant } from './session-tenants.js';
import type { SessionService } from './session-service.js';

/** Input to start a session on a device. */
export type NewDeviceSession<T = SessionData> = NewSession<T> & { deviceId: string };

/** The devices of a user: at most one session per device; a new one replaces the old one. */
export class DeviceSessionService {
  constructor(
    private readonly sessions: SessionService,
    private readonly store: SessionStore,
    private readonly options: ResolvedSessionOptions,
  ) {}

  /** See `SessionService.forTenant`. */
  forTenant(tenant: string): DeviceSessionService {
    return inTenant(this, this.store, tenant);
  }

  /**
   * Starts a session on a device. Sets no cookie: issue tokens for it, or sign in with `RequestSession.start`, which takes the
   * same device fields.
   *
   * @param maxDevices Maximum number of the user's sessions, including this one. Default `session.maxSessionsPerUser`.
   * `session.maxSessionsPerDeviceType` applies as well.
   * @throws {SessionLimitError} at the limit under `onLimit: 'reject'`.
   */
  async createDeviceSession<T = SessionData>(
    data: NewDeviceSession<NoInfer<T>>,
    maxDevices?: number,
  ): Promise<DeviceSession<T>> {
    const input = { ...data, deviceName: data.deviceName ?? data.deviceId };
    const limit = await limitFor(this.options.session, input as NewSession, maxDevices);
    const { session } = await this.sessions.start<T>(input, { limit });
    return session as DeviceSession<T>;
  }

  /** Ends the user's session on the device. False when there was none. */
  async destroyDevice(userId: string, deviceId: string, options: { reason?: EndReason } = {}): Promise<boolean> {
    return (await this.store.destroyAll(userId, { ...options, deviceId })) > 0;
  }

  /** The user's live sessions with a device id, latest access first. Records no access. */
  async getDeviceSessions<T = SessionData>(userId: string): Promise<DeviceSession<T>[]> {
    const sessions = await this.store.getActiveSessions<T>(userId);
    return sessions.filter((session): session is DeviceSession<T> => session.deviceId !== undefined);
  }
}
