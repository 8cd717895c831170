import { Injectable, type NestMiddleware } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Next } from '../exchange/answer-refusal.js';
import { RequestSessionProperty } from './request-session-property.js';

/** The members of a Fastify instance that are used here. */
interface FastifyInstance {
  hasRequestDecorator(name: string): boolean;
  decorateRequest(name: string, property: { getter(this: { raw: IncomingMessage }): unknown }): unknown;
}

/**
 * Sets `request.session` to the session of the request, or to null, on Express and Fastify, on both Node's request and
 * the framework's. Refuses no request: guards do, or `requireSession` where there are none. Reading the property
 * records an access, and throws (503) if the store is unavailable.
 *
 * ```ts
 * export class AppModule implements NestModule {
 *   configure(consumer: MiddlewareConsumer) {
 *     consumer.apply(SessionMiddleware).forRoutes('*path');
 *   }
 * }
 * ```
 */
@Injectable()
export class SessionMiddleware implements NestMiddleware {
  constructor(
    private readonly property: RequestSessionProperty,
    { httpAdapter }: HttpAdapterHost,
  ) {
    if (httpAdapter?.getType() === 'fastify') decorate(httpAdapter.getInstance<FastifyInstance>());
  }

  use(request: IncomingMessage, response: ServerResponse, next: Next): void {
    void this.property.define(request, response).then(() => next());
  }
}

/** Fastify passes Node's request to middleware and its own to handlers. */
function decorate(fastify: FastifyInstance): void {
  if (fastify.hasRequestDecorator('session')) return;
  fastify.decorateRequest('session', {
    getter() {
      return (this.raw as { session?: unknown }).session;
    },
  });
}
