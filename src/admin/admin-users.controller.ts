import { Controller, Get, HttpCode, HttpStatus, NotFoundException, Param, Post, Query } from '@nestjs/common';
import { ApiQuery, ApiTags } from '@nestjs/swagger';
import { ReqSession, RequireFresh, Roles, type RequestSession } from 'nestjs-sessions';
import { ApiSession, ApiSessionErrors } from 'nestjs-sessions/swagger';
import { viewOf, type SessionView } from '../sessions/session-view.js';
import { UsersService } from '../users/users.service.js';
import { Answer } from '../openapi/answer.js';
import { ONE_SESSION, USERS } from '../openapi/answers.js';
import { notFound } from '../openapi/errors.js';

/** What an administrator sees of a user. */
interface UserView {
  id: string;
  email: string;
  roles: readonly string[];
}

/** Users in one answer. */
const MOST = 20;

@ApiTags('Administration')
@ApiSession()
@Roles('admin')
@Controller('admin/users')
export class AdminUsersController {
  constructor(private readonly users: UsersService) {}

  /** Users whose e-mail address holds the text. */
  @Answer({ summary: 'Find users', ...USERS })
  @ApiQuery({ name: 'query', required: false, schema: { type: 'string' }, example: 'user@' })
  @Get()
  find(@Query('query') query: unknown): UserView[] {
    const text = typeof query === 'string' ? query : '';
    return this.users.search(text, MOST).map(({ id, email, roles }) => ({ id, email, roles }));
  }

  /** From now on this browser acts as the user, until it returns or the administrator's session ends. */
  @Answer({ summary: 'Act as a user', ...ONE_SESSION })
  @ApiSessionErrors({ errors: [notFound('There is no such user.')] })
  @RequireFresh('5m')
  @Post(':userId/impersonate')
  @HttpCode(HttpStatus.OK)
  async impersonate(
    @Param('userId') userId: string,
    @ReqSession() request: RequestSession,
  ): Promise<{ session: SessionView }> {
    const user = this.users.findById(userId);
    if (!user) throw new NotFoundException('There is no such user.');
    const { session } = await request.impersonate({ userId: user.id, email: user.email, roles: user.roles });
    return { session: viewOf(session, session.id) };
  }
}
