import { Controller, Delete, Get, HttpCode, HttpStatus, NotFoundException, Param } from '@nestjs/common';
import {
  CurrentSession,
  DeviceSessionService,
  ReqSession,
  SessionHistory,
  SessionService,
  type RequestSession,
  type Session,
} from 'nestjs-sessions';
import { historyViewOf, type HistoryView } from './history-view.js';
import { viewOf, type SessionView } from './session-view.js';

/** Where the caller is signed in. */
@Controller()
export class SessionsController {
  constructor(
    private readonly sessions: SessionService,
    private readonly devices: DeviceSessionService,
    private readonly history: SessionHistory,
  ) {}

  @Get('sessions')
  async list(@CurrentSession() { id, userId }: Session): Promise<SessionView[]> {
    const sessions = await this.sessions.list(userId);
    return sessions.map((session) => viewOf(session, id));
  }

  /** What happened to the caller's sessions of late, latest first. */
  @Get('sessions/history')
  async activity(@CurrentSession() { id, userId }: Session): Promise<HistoryView[]> {
    const entries = await this.history.list(userId);
    return entries.map((entry) => historyViewOf(entry, id));
  }

  @Delete('sessions/:id')
  @HttpCode(HttpStatus.NO_CONTENT)
  async end(
    @Param('id') id: string,
    @CurrentSession() current: Session,
    @ReqSession() request: RequestSession,
  ): Promise<void> {
    // Ending one's own session also has the browser forget its cookie.
    if (id === current.id) await request.end();
    else if (!(await this.sessions.end(id, { userId: current.userId, reason: 'revoked' }))) throw unknown('session');
  }

  @Delete('devices/:deviceId')
  @HttpCode(HttpStatus.NO_CONTENT)
  async endDevice(
    @Param('deviceId') deviceId: string,
    @CurrentSession() current: Session,
    @ReqSession() request: RequestSession,
  ): Promise<void> {
    if (deviceId === current.deviceId) await request.end();
    else if (!(await this.devices.destroyDevice(current.userId, deviceId, { reason: 'revoked' })))
      throw unknown('device');
  }
}

/** The same for what does not exist and for what is somebody else's. */
function unknown(what: 'session' | 'device'): NotFoundException {
  return new NotFoundException(`You have no such ${what}.`);
}
