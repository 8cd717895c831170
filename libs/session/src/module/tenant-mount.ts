import type { Provider } from '@nestjs/common';
import { HttpAdapterHost, type AbstractHttpAdapter } from '@nestjs/core';
import type { SessionCore } from '../core/session-core.js';
import { SESSION_CORE } from '../core/tokens.js';
import type { RequestTenants } from '../http/authentication/request-tenants.js';
import type { HttpRequest, MiddlewareRequest } from '../http/exchange/request-view.js';
import { viewOf } from '../http/exchange/request-view.js';
import { onHttpAdapter } from './on-http-adapter.js';

/** The part of a Fastify instance that is used here. */
interface FastifyInstance {
  addHook(name: 'onRequest', hook: (request: HttpRequest, reply: unknown, done: () => void) => void): unknown;
}

/**
 * In an application that serves many tenants: each request begins by finding its tenant, before any other middleware, so that all
 * services know it that are called in the request.
 */
export class TenantMount {
  constructor(
    private readonly tenants: RequestTenants,
    private readonly host: HttpAdapterHost,
  ) {}

  mount(): void {
    onHttpAdapter(this.host, (adapter) => this.mountOn(adapter));
  }

  private mountOn(adapter: AbstractHttpAdapter): void {
    if (adapter.getType() === 'fastify') {
      adapter
        .getInstance<FastifyInstance>()
        .addHook('onRequest', (request, _reply, done) => this.tenants.enter(request, done));
      return;
    }
    (adapter.use as (handler: unknown) => void)((request: MiddlewareRequest, _response: unknown, next: () => void) =>
      this.tenants.enter(viewOf(request), next),
    );
  }
}

export const tenantMount: Provider = {
  provide: TenantMount,
  inject: [SESSION_CORE, HttpAdapterHost],
  useFactory: ({ options, tenants }: SessionCore, host: HttpAdapterHost): TenantMount => {
    const mount = new TenantMount(tenants, host);
    if (options.tenants) mount.mount();
    return mount;
  },
};
