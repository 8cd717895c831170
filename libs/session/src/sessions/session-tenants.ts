import { ConfigurationError } from '../model/errors.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionStore } from '../ports/session-store.js';
import { assertNamedTenant } from '../ports/tenants/tenant-scope.js';
import { TenantsSessionStore } from '../ports/tenants/tenants-session-store.js';

/** The tenants of an application whose option `tenant` is a function. */
export class SessionTenants {
  constructor(private readonly options: Pick<ResolvedSessionOptions, 'tenants' | 'currentTenant'>) {}

  /**
   * The tenant of the current request, of the current event's handler, or of `run`.
   *
   * @throws {ConfigurationError} elsewhere. @throws {SessionError} `unknown_tenant` in a request without one.
   */
  current(): string {
    return this.options.currentTenant();
  }

  /**
   * Runs the work in a tenant, whatever it calls: all services of the module. For cron jobs, queues and the work of administrators.
   *
   * ```ts
   * await this.tenants.run('acme', () => this.history.list('ann'));
   * ```
   *
   * @throws {InvalidArgumentError} for a name that no tenant can have.
   * @throws {ConfigurationError} in an application with one tenant or none, for another one.
   */
  run<T>(tenant: string, work: () => T): T {
    const { tenants, currentTenant } = this.options;
    if (tenants) return tenants.scope.run(tenant, work);
    if (tenant === currentTenant()) return work();
    throw ofOneTenant();
  }
}

/**
 * The service for the sessions of one tenant, wherever it is called. Keeps nothing. A proxy, because the services of a module share
 * the scope: objects of their own for each tenant would repeat all that they consist of, and wrappers each of their methods.
 *
 * @throws {InvalidArgumentError} for a name that no tenant can have.
 * @throws {ConfigurationError} in an application with one tenant or none, for another one.
 */
export function inTenant<S extends object>(service: S, store: SessionStore, tenant: string): S {
  if (!(store instanceof TenantsSessionStore)) {
    if (tenant === store.tenant) return service;
    throw ofOneTenant();
  }
  assertNamedTenant(tenant);
  const { scope } = store;
  return new Proxy(service, {
    get: (target, name) => {
      const value: unknown = scope.run(tenant, () => Reflect.get(target, name, target));
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => scope.run(tenant, () => Reflect.apply(value, target, args) as unknown);
    },
  });
}

function ofOneTenant(): ConfigurationError {
  return new ConfigurationError(
    'forTenant: this application serves one tenant. To serve many, set the option "tenant" to a function of the request.',
  );
}
