import { Injectable, type NestMiddleware } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestContext, RequestContexts } from '../http/authentication/request-context.js';
import { answerRefusal, type Next } from '../http/exchange/answer-refusal.js';
import { middlewareExchange } from '../http/exchange/middleware-exchange.js';
import type { BindingAnswer } from './device-bound-endpoints.js';

/** Answers an endpoint before guards, pipes and interceptors of the application see the request: browsers send it by themselves. */
export function answering(
  contexts: RequestContexts,
  endpoint: (context: RequestContext) => Promise<BindingAnswer>,
): new () => NestMiddleware {
  @Injectable()
  class DeviceBoundEndpoint implements NestMiddleware {
    use(request: IncomingMessage, response: ServerResponse, next: Next): void {
      const context = contexts.of(middlewareExchange(request, response));
      context.exchange.forbidCaching();
      endpoint(context).then(
        ({ status, body }) => {
          response.statusCode = status;
          response.setHeader('content-type', 'application/json; charset=utf-8');
          response.end(JSON.stringify(body));
        },
        (error: unknown) => answerRefusal(error, request, response, next),
      );
    }
  }
  return DeviceBoundEndpoint;
}
