import { Body, Controller, Get, Patch } from '@nestjs/common';
import {
  CurrentSession,
  CurrentUser,
  ReqSession,
  type RequestSession,
  type Session,
  type SessionUser,
} from 'nestjs-sessions';
import { preferencesBody, type Preferences } from './preferences.js';

@Controller('me')
export class MeController {
  @Get()
  me(@CurrentUser() user: SessionUser): SessionUser {
    return user;
  }

  @Get('preferences')
  preferences(@CurrentSession() session: Session<Preferences>): Preferences {
    return preferencesOf(session);
  }

  /** Merges key by key, so that parallel changes of different preferences all count. */
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
