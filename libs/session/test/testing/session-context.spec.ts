import { Controller, Get, Post, UseGuards, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import request from 'supertest';
import {
  CurrentSession,
  CurrentUser,
  ReqSession,
  Roles,
  SessionGuard,
  type RequestSession,
  type Session,
  type SessionUser,
} from '../../src/index.js';
import { guardRefusing, guardSignedInAs, sessionContext } from '../../src/testing/index.js';

@UseGuards(SessionGuard)
@Controller()
class AccountController {
  @Get('me')
  me(@CurrentUser() user: SessionUser | null, @CurrentSession() session: Session | null): unknown {
    return { id: user?.id, own: session?.userId };
  }

  @Roles('admin')
  @Post('logout')
  async logout(@ReqSession() session: RequestSession): Promise<boolean> {
    return session.end();
  }
}

describe('sessionContext', () => {
  it('gives what a controller needs, in three lines', async () => {
    const { user, session, reqSession } = await sessionContext({ id: 'ann', roles: ['admin'] });
    expect(new AccountController().me(user, session)).toEqual({ id: 'ann', own: 'ann' });
    expect(await new AccountController().logout(reqSession)).toBe(true);
    expect(await reqSession.current).toBeNull();
  });

  it('stands for a visitor who signs in', async () => {
    const { user, session, reqSession, response } = await sessionContext(null);
    expect([user, session, await reqSession.current]).toEqual([null, null, null]);
    await reqSession.start({ userId: 'bob' });
    expect(String(response.getHeader('set-cookie'))).toMatch(/^__Host-session=/);
    expect((await reqSession.current)?.userId).toBe('bob');
  });

  it('honours options and moves time', async () => {
    const { user, session, sessions, advance } = await sessionContext('ann', {
      options: { resolveUser: ({ userId }) => ({ name: userId.toUpperCase() }), session: { idleTimeout: '10m' } },
    });
    expect(user).toEqual({ name: 'ANN' });
    advance('9m');
    expect(await sessions.get(session?.id ?? '')).not.toBeNull();
    advance('2m');
    expect(await sessions.get(session?.id ?? '')).toBeNull();
  });

  it('has a context for guards of the application', async () => {
    class RolesAreNamed implements CanActivate {
      canActivate(context: ExecutionContext): boolean {
        const roles = new Reflector().get<string[] | undefined>('nestjs-sessions:roles', context.getHandler());
        return roles !== undefined && context.switchToHttp().getRequest<{ method: string }>().method === 'POST';
      }
    }
    const named = await sessionContext('ann', { controller: AccountController, method: 'logout' });
    expect(new RolesAreNamed().canActivate(named.context)).toBe(true);
    const other = await sessionContext('ann', { controller: AccountController, method: 'me' });
    expect(new RolesAreNamed().canActivate(other.context)).toBe(false);
    await expect(sessionContext('ann', { controller: AccountController, method: 'none' })).rejects.toThrow(
      'AccountController has no method none',
    );
  });
});

describe('guard stubs, without SessionModule', () => {
  const serve = async (guard: CanActivate, use: (server: never) => Promise<void>): Promise<void> => {
    const builder = Test.createTestingModule({ controllers: [AccountController] });
    builder.overrideGuard(SessionGuard).useValue(guard);
    const app = (await builder.compile()).createNestApplication({ logger: false });
    await app.init();
    try {
      await use(app.getHttpServer() as never);
    } finally {
      await app.close();
    }
  };

  it('guardSignedInAs lets in as the user, and the decorators work', async () => {
    await serve(guardSignedInAs({ id: 'ann' }), async (server) => {
      await request(server).get('/me').expect(200, { id: 'ann', own: 'ann' });
      await request(server).post('/logout').expect(201, 'true');
    });
  });

  it('guardRefusing refuses with the code', async () => {
    await serve(guardRefusing('insufficient_scope'), async (server) => {
      const { body } = (await request(server).get('/me').expect(403)) as { body: unknown };
      expect(body).toMatchObject({ code: 'insufficient_scope' });
    });
    await serve(guardRefusing(), async (server) => {
      const { headers } = await request(server).get('/me').expect(401);
      expect(headers['www-authenticate']).toBe('Bearer realm="session"');
    });
  });
});
