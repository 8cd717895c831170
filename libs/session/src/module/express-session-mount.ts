import type { OnModuleInit, Provider } from '@nestjs/common';
import { HttpAdapterHost, type AbstractHttpAdapter } from '@nestjs/core';
import { ConfigurationError } from '../model/errors.js';
import type { SessionLimit } from '../model/limit.js';
import type { NewSession } from '../model/session.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionStore } from '../ports/session-store.js';
import { onHttpAdapter } from './on-http-adapter.js';
import { TenantMount } from './tenant-mount.js';

/**
 * Mounts express-session if the option `expressSession` is set, as soon as there is an HTTP server: before `main.ts`
 * continues, so that middleware mounted there by `app.use`, such as `passport.session()`, finds the session.
 */

export class ExpressSessionMount implements OnModuleInit {
  private problem: ConfigurationError | null = null;

  constructor(
    private readonly options: ResolvedSessionOptions,
    private readonly store: SessionStore,
    private readonly host: HttpAdapterHost,
  ) {}

  /** @throws {ConfigurationError} if express-session is not installed, or the application does not run on Express. */
  async mount(): Promise<void> {
    if (!this.options.expressSession) return;
    const handlers = await this.makeHandlers(this.options.expressSession);
    onHttpAdapter(this.host, (adapter) => this.mountOn(adapter, handlers));
    this.onModuleInit();
  }

  /**
   * The subscriber in `mount` cannot stop the boot, so its error is thrown here.
   *
   * @throws {ConfigurationError}
   */
  onModuleInit(): void {
    if (this.problem) throw this.problem;
  }

  private mountOn(adapter: AbstractHttpAdapter, handlers: readonly unknown[]): void {
    if (adapter.getType() === 'express') {
      for (const handler of handlers) (adapter.use as (handler: unknown) => void)(handler);
      return;
    }
    this.problem = new ConfigurationError(
      `expressSession: works on Express, and this application runs on ${adapter.getType()}. On Fastify register @fastify/session with a SessionFastifyStore.`,
    );
  }

  private async makeHandlers(options: NonNullable<ResolvedSessionOptions['expressSession']>): Promise<unknown[]> {
    const { maxSessionsPerUser, onLimit } = this.options.session;
    const limit = async (user: NewSession): Promise<SessionLimit> => ({
      max: typeof maxSessionsPerUser === 'function' ? await maxSessionsPerUser(user) : maxSessionsPerUser,
      onLimit,
    });
    // Loaded here only, so that other applications do not need express-session.
    const { expressSessionHandlers } = await import('../frameworks/express/mount-express-session.js').catch(
      (error: unknown) => {
        throw new ConfigurationError(
          'expressSession: needs the package express-session. Run "npm install express-session".',
          { cause: error },
        );
      },
    );
    return expressSessionHandlers(options, this.store, { limit, ipPrivacy: this.options.security.ipPrivacy });
  }
}

export const expressSessionMount: Provider = {
  provide: ExpressSessionMount,
  // After the tenants, which its store must know.
  inject: [SESSION_OPTIONS, SessionStore, HttpAdapterHost, TenantMount],
  useFactory: async (
    options: ResolvedSessionOptions,
    store: SessionStore,
    host: HttpAdapterHost,
  ): Promise<ExpressSessionMount> => {
    const mount = new ExpressSessionMount(options, store, host);
    await mount.mount();
    return mount;
  },
};
