import { Body, Controller, Get, Patch } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import {
  CurrentSession,
  CurrentUser,
  ReqSession,
  type RequestSession,
  type Session,
  type SessionUser,
} from 'nestjs-sessions';
import { ApiSession, ApiSessionErrors } from 'nestjs-sessions/swagger';
import { preferencesBody, type Preferences } from './preferences.js';
import { Answer } from '../openapi/answer.js';
import { PREFERENCES, USER } from '../openapi/answers.js';
import { BAD_BODY } from '../openapi/errors.js';

@ApiTags('Account')
@ApiSession()
@Controller('me')
export class MeController {
  @Answer({ summary: 'The signed-in user', ...USER })
  @Get()
  me(@CurrentUser() user: SessionUser): SessionUser {
    return user;
  }

  @Answer({ summary: 'Data of the application in the session', ...PREFERENCES })
  @Get('preferences')
  preferences(@CurrentSession() session: Session<Preferences>): Preferences {
    return preferencesOf(session);
  }

  /** Merges key by key, so that parallel changes of different preferences are all kept. */
  @Answer({ summary: 'Change some of it', ...PREFERENCES })
  @ApiSessionErrors({ codes: ['invalid_request', 'session_conflict', 'session_too_large'], errors: [BAD_BODY] })
  @Patch('preferences')
  async change(
    @Body({ schema: preferencesBody }) change: Preferences,
    @ReqSession() request: RequestSession,
  ): Promise<Preferences> {
    return preferencesOf(await request.update<Preferences>({ data: change }));
  }
}

function preferencesOf({ data: { theme, language } }: Session<Preferences>): Preferences {
  return { theme, language };
}
