import { Controller, Delete, Get, HttpCode, HttpStatus, NotFoundException, Param } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import {
  CurrentSession,
  DeviceSessionService,
  ReqSession,
  RequireFresh,
  SessionHistory,
  SessionService,
  type RequestSession,
  type Session,
} from 'nestjs-sessions';
import { ApiSession, ApiSessionErrors } from 'nestjs-sessions/swagger';
import { historyViewOf, type HistoryView } from './history-view.js';
import { viewOf, type SessionView } from './session-view.js';
import { Answer, NoContent } from '../openapi/answer.js';
import { HISTORY, SESSIONS } from '../openapi/answers.js';
import { notFound } from '../openapi/errors.js';

/** The caller's sessions and devices. */
@ApiTags('Sessions and devices')
@ApiSession()
@Controller()
export class SessionsController {
  constructor(
    private readonly sessions: SessionService,
    private readonly devices: DeviceSessionService,
    private readonly history: SessionHistory,
  ) {}

  @Answer({ summary: 'Where you are signed in', ...SESSIONS })
  @Get('sessions')
  async list(@CurrentSession() { id, userId }: Session): Promise<SessionView[]> {
    const sessions = await this.sessions.list(userId);
    return sessions.map((session) => viewOf(session, id));
  }

  /** Recent security activity of the caller's sessions, latest first. */
  @Answer({ summary: 'Recent security activity', ...HISTORY })
  @Get('sessions/history')
  async activity(@CurrentSession() { id, userId }: Session): Promise<HistoryView[]> {
    const entries = await this.history.list(userId);
    return entries.map((entry) => historyViewOf(entry, id));
  }

  @NoContent('Sign out one session')
  @ApiSessionErrors({ errors: [notFound('You have no such session.')] })
  @RequireFresh('5m')
  @Delete('sessions/:id')
  @HttpCode(HttpStatus.NO_CONTENT)
  async end(
    @Param('id') id: string,
    @CurrentSession() current: Session,
    @ReqSession() request: RequestSession,
  ): Promise<void> {
    // `request.end()` also clears the cookie.
    if (id === current.id) await request.end();
    else if (!(await this.sessions.end(id, { userId: current.userId, reason: 'revoked' }))) throw unknown('session');
  }

  @NoContent('Sign out one device')
  @ApiSessionErrors({ errors: [notFound('You have no such device.')] })
  @RequireFresh('5m')
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

/** The same answer for a missing session and for another user's. */
function unknown(what: 'session' | 'device'): NotFoundException {
  return new NotFoundException(`You have no such ${what}.`);
}
