import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Param, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Public, ReqSession, type RequestSession } from 'nestjs-sessions';
import { ApiSessionErrors } from 'nestjs-sessions/swagger';
import { Answer, NoContent } from '../openapi/answer.js';
import { ACCOUNTS, ONE_SESSION } from '../openapi/answers.js';
import { BAD_BODY } from '../openapi/errors.js';
import { viewOf, type SessionView } from '../sessions/session-view.js';
import { accountViewOf, type AccountView } from './account-view.js';
import { switchBody, type SwitchBody } from './accounts.bodies.js';

const CHANGE_ERRORS = ['csrf_rejected', 'invalid_request', 'account_not_found', 'store_unavailable'] as const;

/** The accounts that this browser is signed in to. Public, because the one in use may have ended while others live. */
@ApiTags('Accounts')
@Public()
@Controller('accounts')
export class AccountsController {
  @Answer({ summary: 'The accounts of this browser', ...ACCOUNTS })
  @ApiSessionErrors({ codes: ['store_unavailable'] })
  @Get()
  async list(@ReqSession() request: RequestSession): Promise<AccountView[]> {
    return (await request.accounts()).map(accountViewOf);
  }

  @Answer({ summary: 'Use another one of them', ...ONE_SESSION })
  @ApiSessionErrors({ codes: CHANGE_ERRORS, errors: [BAD_BODY] })
  @Post('switch')
  @HttpCode(HttpStatus.OK)
  async switch(
    @Body({ schema: switchBody }) { id }: SwitchBody,
    @ReqSession() request: RequestSession,
  ): Promise<{ session: SessionView }> {
    const session = await request.switchAccount(id);
    return { session: viewOf(session, session.id) };
  }

  /** `POST /auth/logout` signs out of all. */
  @NoContent('Sign out of one of them')
  @ApiSessionErrors({ codes: CHANGE_ERRORS })
  @Delete(':id')
  @HttpCode(HttpStatus.NO_CONTENT)
  async signOut(@Param('id') id: string, @ReqSession() request: RequestSession): Promise<void> {
    await request.signOutAccount(id);
  }
}
