import type { Provider } from '@nestjs/common';
import { HttpAdapterHost, type AbstractHttpAdapter } from '@nestjs/core';
import { showSessionsOn } from '../http/authentication/expose-session.js';

/** The part of an Express application that is used here. */
interface ExpressApplication {
  /** The prototype of its requests. */
  readonly request?: unknown;
}

/** Prepares the requests of an Express application for what the guards expose on them. */
export class ExpressAccessors {
  constructor(host: HttpAdapterHost) {
    // Immediately if the server exists; with @nestjs/testing it is created after the providers.
    host.init$.subscribe(() => {
      // An application context has no HTTP server.
      const adapter = host.httpAdapter as AbstractHttpAdapter | undefined;
      if (adapter?.getType() !== 'express') return;
      const { request } = adapter.getInstance<ExpressApplication>();
      if (typeof request === 'object' && request !== null) showSessionsOn(request);
    });
  }
}

export const expressAccessors: Provider = {
  provide: ExpressAccessors,
  inject: [HttpAdapterHost],
  useFactory: (host: HttpAdapterHost): ExpressAccessors => new ExpressAccessors(host),
};
