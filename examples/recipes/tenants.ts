// One application for many tenants: the host of a request names its tenant.
import { Controller, Get, HttpCode, Injectable, Module, Post, UseGuards, type DynamicModule } from '@nestjs/common';
import {
  CurrentUser,
  Public,
  ReqSession,
  SessionAdminService,
  SessionGuard,
  SessionModule,
  SessionService,
  type RequestSession,
  type SessionModuleOptions,
  type SessionUser,
} from 'nestjs-sessions';

@UseGuards(SessionGuard)
@Controller()
class AccountController {
  constructor(private readonly sessions: SessionService) {}

  @Public()
  @Post('login')
  @HttpCode(204)
  async login(@ReqSession() session: RequestSession) {
    await session.start({ userId: 'ann' });
  }

  /** In a request the services belong to its tenant. */
  @Get('me')
  async me(@CurrentUser() user: SessionUser) {
    return { id: user.id, sessions: (await this.sessions.list(user.id)).length };
  }
}

/** For a queue or a cron job, which no request calls: each call names its tenant. */
@Injectable()
export class TenantChores {
  constructor(private readonly admin: SessionAdminService) {}

  /** Signs all users of a tenant out. Returns how many sessions ended. */
  async close(tenant: string): Promise<number> {
    return this.admin.forTenant(tenant).endEverybody({ actor: 'billing', reason: 'contract ended' });
  }
}

@Module({})
export class TenantsModule {
  /** @param tenants By host name: a host that is not in it is 404. */
  static forHosts(tenants: ReadonlyMap<string, string>, options: SessionModuleOptions): DynamicModule {
    return {
      module: TenantsModule,
      imports: [SessionModule.forRoot({ ...options, tenant: ({ hostname }) => tenants.get(hostname) })],
      controllers: [AccountController],
      providers: [TenantChores],
    };
  }
}
