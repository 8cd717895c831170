import { Body, Controller, Get, HttpCode, Post, Req, UseGuards, type DynamicModule, type Type } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { randomBytes } from 'node:crypto';
import {
  CurrentSession,
  CurrentUser,
  getSessionToken,
  Public,
  Realm,
  ReqSession,
  Roles,
  RolesGuard,
  SessionGuard,
  SessionModule,
  SessionService,
  type NewSession,
  type RequestSession,
  type Session,
  type SessionModuleOptions,
  type SessionRealmOptions,
  type SignInOptions,
} from '../../src/index.js';
import { JwtAuthGuard } from '../../src/passport/index.js';
import { startApp, type AppOptions, type Platform, type TestApp } from '../support/app.js';
import { testRedisUrl } from '../support/redis-harness.js';
import { secretOf } from '../support/secrets.js';

export const STORES = ['memory', 'redis'] as const;
export type StoreName = (typeof STORES)[number];

/** The same routes for customers and for staff. */
abstract class Routes {
  @Public()
  @Post('login')
  @HttpCode(200)
  async login(
    @ReqSession() session: RequestSession,
    @Body() { transport, ...input }: NewSession & SignInOptions,
  ): Promise<unknown> {
    return session.start(input, transport && { transport });
  }

  @Get('me')
  me(@CurrentUser() user: { id: string }, @CurrentSession() session: Session, @Req() request: object): unknown {
    const { session: onRequest, user: userOnRequest } = request as { session?: Session; user?: { id: string } };
    return { user: user.id, session: session.id, onRequest: onRequest?.id, userOnRequest: userOnRequest?.id };
  }

  @Public()
  @Get('guest')
  async guest(
    @CurrentUser() user: { id: string } | null,
    @CurrentSession() session: Session | null,
    @ReqSession() request: RequestSession,
    @Req() { session: onRequest }: { session?: Session | null },
  ): Promise<unknown> {
    const current = await request.current;
    return { user: user?.id, session: session?.id, current: current?.id, onRequest: onRequest?.id };
  }

  @UseGuards(JwtAuthGuard)
  @Get('by-token')
  byToken(@CurrentUser() user: { id: string }): unknown {
    return { user: user.id };
  }

  @Roles('boss')
  @UseGuards(RolesGuard)
  @Get('boss')
  boss(): unknown {
    return { ok: true };
  }

  @Public()
  @Post('refresh')
  @HttpCode(200)
  async refresh(@ReqSession() session: RequestSession, @Body() { token }: { token: string }): Promise<unknown> {
    return session.refresh(token);
  }

  @Post('logout')
  @HttpCode(200)
  async logout(@ReqSession() session: RequestSession): Promise<unknown> {
    return { ended: await session.end() };
  }

  @Post('logout-all')
  @HttpCode(200)
  async logoutAll(@ReqSession() session: RequestSession): Promise<unknown> {
    return { ended: await session.endAll() };
  }
}

@Controller('shop')
export class ShopController extends Routes {}

@Realm('admin')
@Controller('staff')
export class StaffController extends Routes {}

/** Of customers, except for one method. */
@Controller('mixed')
export class MixedController {
  @Get('customer')
  customer(@CurrentUser() user: { id: string }): unknown {
    return { user: user.id };
  }

  @Realm('admin')
  @Get('staff')
  staff(@CurrentUser() user: { id: string }): unknown {
    return { user: user.id };
  }
}

export const JWT = { issuer: 'https://issuer.example', audience: 'https://shop.example' };
export const STAFF_JWT = { issuer: 'https://issuer.example', audience: 'https://staff.example' };

export interface RealmApp extends TestApp {
  readonly customers: SessionService;
  readonly staff: SessionService;
  service<T>(type: Type<T> | (abstract new (...args: never[]) => T), realm?: string): T;
}

export interface RealmAppOptions extends Omit<Partial<AppOptions>, 'platform'> {
  root?: SessionModuleOptions;
  realm?: Partial<SessionRealmOptions>;
  features?: DynamicModule[];
}

/** An application of customers and, in the realm `admin`, of staff. */
export async function startRealms(
  platform: Platform,
  store: StoreName,
  { root, realm, features, ...rest }: RealmAppOptions = {},
): Promise<RealmApp> {
  const redis = store === 'redis' && {
    redis: testRedisUrl(),
    keyPrefix: `test-${randomBytes(6).toString('hex')}:`,
    commandTimeout: '10s',
  };
  const app = await startApp({
    platform,
    module: SessionModule.forRoot({ secrets: secretOf('realms'), jwt: JWT, ...redis, ...root } as SessionModuleOptions),
    controllers: [ShopController, StaffController, MixedController],
    providers: [{ provide: APP_GUARD, useClass: SessionGuard }],
    ...rest,
    imports: [
      ...(features ?? [SessionModule.forFeature({ realm: 'admin', jwt: STAFF_JWT, ...realm })]),
      ...(rest.imports ?? []),
    ],
  });
  const service = <T>(type: Type<T> | (abstract new (...args: never[]) => T), of?: string): T =>
    app.app.get<T>(of === undefined ? type : getSessionToken(type, of), { strict: false });
  return {
    ...app,
    service,
    customers: service(SessionService),
    staff: features ? (undefined as never) : service(SessionService, 'admin'),
  };
}
