import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { map, type Observable } from 'rxjs';
import { SessionAdmission } from '../http/authentication/session-admission.js';
import { RequestContexts } from '../http/authentication/request-context.js';
import { findExchange } from '../http/exchange/http-exchange.js';
import { SessionWatch } from '../http/streams/session-watch.js';
import { untilOver } from './until-over.js';

/**
 * Completes subscriptions when the session that started them is over: when it ends on any instance, when its secrets are replaced or
 * its access tokens revoked, and when the access token expires. A subscription that nobody had to sign in for goes on.
 *
 * ```ts
 * providers: [{ provide: APP_INTERCEPTOR, useClass: GraphqlSubscriptionInterceptor }]
 * ```
 */
@Injectable()
export class GraphqlSubscriptionInterceptor implements NestInterceptor {
  constructor(
    private readonly contexts: RequestContexts,
    private readonly watch: SessionWatch,
    private readonly admission: SessionAdmission,
  ) {}

  async intercept(host: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    if (host.getType<string>() !== 'graphql' || !isSubscription(host)) return next.handle();
    const exchange = findExchange(host);
    const session = exchange && (await this.admission.findSession(host));
    if (!exchange || !session) return next.handle();
    const request = await this.contexts.of(exchange).authentication;
    const watch = await this.admission.within(exchange, () => this.watch.ofTenant());
    const expiresAt = request?.state === 'authenticated' ? request.expiresAt : undefined;
    return next
      .handle()
      .pipe(
        map((result: unknown) =>
          isIterator(result) ? untilOver(result, (onOver) => watch.watch(session, { expiresAt, onOver })) : result,
        ),
      );
  }
}

function isSubscription(host: ExecutionContext): boolean {
  const info: { operation?: { operation?: unknown } } | undefined = host.getArgByIndex(3);
  return info?.operation?.operation === 'subscription';
}

function isIterator(value: unknown): value is AsyncIterableIterator<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
