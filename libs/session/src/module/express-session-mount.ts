import type { FactoryProvider } from '@nestjs/common';
import { HttpAdapterHost, type AbstractHttpAdapter } from '@nestjs/core';
import { ConfigurationError } from '../model/errors.js';
import type { NewSession } from '../model/session.js';
import type { SessionLimit } from '../model/limit.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionStore } from '../ports/session-store.js';

/** Stands for express-session having been mounted, where the option `expressSession` asks for it. */
export const EXPRESS_SESSION_MOUNT = Symbol('EXPRESS_SESSION_MOUNT');

/**
 * Mounts express-session as soon as there is an HTTP server to mount it on, which is before `main.ts` goes on: what it
 * mounts by `app.use`, such as `passport.session()`, finds the session.
 */
export const expressSessionMount: FactoryProvider<Promise<boolean>> = {
  provide: EXPRESS_SESSION_MOUNT,
  inject: [SESSION_OPTIONS, SessionStore, HttpAdapterHost],
  useFactory: async (options: ResolvedSessionOptions, store: SessionStore, host: HttpAdapterHost): Promise<boolean> => {
    if (!options.expressSession) return false;
    const handlers = await makeHandlers(options, options.expressSession, store);
    // Under @nestjs/testing the server comes after the providers.
    host.init$.subscribe(() => mount(host.httpAdapter as AbstractHttpAdapter | undefined, handlers));
    return true;
  },
};

async function makeHandlers(
  { session }: ResolvedSessionOptions,
  options: NonNullable<ResolvedSessionOptions['expressSession']>,
  store: SessionStore,
): Promise<unknown[]> {
  const { expressSessionHandlers } = await import('../express/mount-express-session.js').catch((error: unknown) => {
    throw new ConfigurationError(
      'expressSession: needs the package express-session. Run "npm install express-session".',
      { cause: error },
    );
  });
  return expressSessionHandlers(options, store, async (user: NewSession): Promise<SessionLimit> => {
    const { maxSessionsPerUser, onLimit } = session;
    return {
      max: typeof maxSessionsPerUser === 'function' ? await maxSessionsPerUser(user) : maxSessionsPerUser,
      onLimit,
    };
  });
}

function mount(adapter: AbstractHttpAdapter | undefined, handlers: readonly unknown[]): void {
  // An application context serves nothing.
  if (!adapter) return;
  if (adapter.getType() !== 'express') {
    throw new ConfigurationError(
      `expressSession: works on Express, and this application runs on ${adapter.getType()}. On Fastify register @fastify/session with a SessionFastifyStore.`,
    );
  }
  for (const handler of handlers) (adapter.use as (handler: unknown) => void)(handler);
}
