import { HttpException, Logger } from '@nestjs/common';
import { stackOf } from '../../model/error-text.js';
import { ConfigurationError, SessionError, StoreUnavailableError } from '../../model/errors.js';
import { assertTenant } from '../../model/tenant.js';
import type { ResolvedSessionOptions } from '../../options/resolved-options.js';
import type { TenantRequest } from '../../options/tenant-option.js';
import type { FoundTenant } from '../../ports/tenants/tenant-scope.js';
import type { HttpExchange } from '../exchange/http-exchange.js';
import type { HttpRequest } from '../exchange/request-view.js';

/**
 * The tenant of each request, in an application that serves many; in others, everything runs as it is. Found once for each request,
 * from the request alone: what code before it was running does not matter.
 */
export class RequestTenants {
  private readonly logger = new Logger('SessionTenants');
  /** By Node's own request, which on a socket is the one that opened it. */
  private readonly known = new WeakMap<object, FoundTenant | Promise<FoundTenant>>();
  private failing = false;

  constructor(private readonly options: Pick<ResolvedSessionOptions, 'tenants'>) {}

  /** Whether requests have tenants. */
  get enabled(): boolean {
    return this.options.tenants !== null;
  }

  /**
   * Runs the work in the tenant of the request.
   *
   * @throws {SessionError} `unknown_tenant`, or what the option `tenant` threw.
   */
  async within<T>(exchange: HttpExchange, work: () => T | Promise<T>): Promise<T> {
    const { tenants } = this.options;
    if (!tenants) return work();
    const found = await this.find(exchange.request);
    if ('error' in found) throw found.error;
    return tenants.scope.enter(found, work);
  }

  /** Like `enter`, at once: the work has no tenant while it is still being found. */
  enterKnown<T>(request: HttpRequest, work: () => T): T {
    const { tenants } = this.options;
    if (!tenants) return work();
    const found = this.find(request);
    return tenants.scope.enter(found instanceof Promise ? null : found, work);
  }

  /** Calls `next` with the tenant of the request, whatever follows. Where it cannot be found, each use of it fails. */
  enter(request: HttpRequest, next: () => void): void {
    const { tenants } = this.options;
    if (!tenants) return next();
    const found = this.find(request);
    if (found instanceof Promise) void found.then((later) => tenants.scope.enter(later, next));
    else tenants.scope.enter(found, next);
  }

  private find(request: HttpRequest): FoundTenant | Promise<FoundTenant> {
    const key = request.raw ?? request;
    const known = this.known.get(key);
    if (known) return known;
    const found = this.ask(request);
    this.known.set(key, found);
    if (found instanceof Promise) void found.then((later) => this.known.set(key, later));
    return found;
  }

  private ask(request: HttpRequest): FoundTenant | Promise<FoundTenant> {
    try {
      const named = this.options.tenants?.of(tenantRequestOf(request));
      if (!isThenable(named)) return this.checked(named);
      return Promise.resolve(named).then(
        (name) => this.checked(name),
        (error: unknown) => this.failed(error),
      );
    } catch (error) {
      return this.failed(error);
    }
  }

  private checked(named: unknown): FoundTenant {
    this.failing = false;
    if (typeof named === 'string' && isName(named)) return { tenant: named };
    if (named === null || named === undefined || typeof named === 'string') return { error: unknownTenant() };
    const error = new ConfigurationError(
      `tenant: the function must return the name of a tenant as text, or null for one that does not exist; it returned a value of the type ${typeof named}.`,
    );
    this.logger.error(error.message);
    return { error };
  }

  /** Without its tenant a request is neither let in nor signed out. */
  private failed(error: unknown): FoundTenant {
    if (error instanceof HttpException) return { error };
    if (!this.failing) this.logger.error('The tenant of a request could not be found', stackOf(error));
    this.failing = true;
    return { error: new StoreUnavailableError('The tenant of the request could not be found.', { cause: error }) };
  }
}

function unknownTenant(): SessionError {
  return new SessionError('unknown_tenant', 'There is no such tenant.');
}

/** Text from a request may be anything; '' would mean no tenant. */
function isName(text: string): boolean {
  try {
    assertTenant(text);
    return text !== '';
  } catch {
    return false;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

function tenantRequestOf(request: HttpRequest): TenantRequest {
  const { headers, ip } = request;
  const host = request.host ?? headers.host ?? '';
  const { originalUrl, url } = (request.raw ?? request) as { originalUrl?: string; url?: string };
  return { method: request.method ?? '', url: originalUrl ?? url ?? '', headers, host, hostname: hostnameOf(host), ip };
}

function hostnameOf(host: string): string {
  const url = `http://${host}`;
  return URL.canParse(url) ? new URL(url).hostname : '';
}
