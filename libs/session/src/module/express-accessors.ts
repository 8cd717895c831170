import type { Provider } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { showSessionsOn } from '../http/authentication/expose-session.js';
import { onHttpAdapter } from './on-http-adapter.js';

/** The part of an Express application that is used here. */
interface ExpressApplication {
  /** The prototype of its requests. */
  readonly request?: unknown;
}

/** Prepares the requests of an Express application for what the guards expose on them. */
export class ExpressAccessors {
  constructor(host: HttpAdapterHost) {
    onHttpAdapter(host, (adapter) => {
      if (adapter.getType() !== 'express') return;
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
