import { Inject, Injectable } from '@nestjs/common';
import type { DeviceSession, EndReason, NewSession, SessionData } from '../model/session.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionStore } from '../ports/session-store.js';
import { limitFor } from './session-limit.js';
import { SessionService } from './session-service.js';

/** What is needed to start a session on a device. */
export type NewDeviceSession<T = SessionData> = NewSession<T> & { deviceId: string };

/** Who is signed in where: at most one session a device, the new one replaces the old. */
@Injectable()
export class DeviceSessionService {
  constructor(
    @Inject(SessionService) private readonly sessions: SessionService,
    @Inject(SessionStore) private readonly store: SessionStore,
    @Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
  ) {}

  /**
   * Starts a session on a device. It has no cookie of its own: hand out tokens for it, or sign in with
   * `RequestSession.start`, which takes the same device fields.
   *
   * @param maxDevices Most sessions of the user, this one included. Default `session.maxSessionsPerUser`. What
   * `session.maxSessionsPerDeviceType` says of the device's type counts beside it.
   * @throws {SessionLimitError} at the limit under `onLimit: 'reject'`.
   */
  async createDeviceSession<T = SessionData>(
    data: NewDeviceSession<T>,
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

  /** The user's live sessions that name their device, latest access first. Records no access. */
  async getDeviceSessions<T = SessionData>(userId: string): Promise<DeviceSession<T>[]> {
    const sessions = await this.store.getActiveSessions<T>(userId);
    return sessions.filter((session): session is DeviceSession<T> => session.deviceId !== undefined);
  }
}
