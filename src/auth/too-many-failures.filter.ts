import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { TooManyFailures } from './too-many-failures.js';

/** Adds the header Retry-After, on Express and Fastify. */
@Catch(TooManyFailures)
export class TooManyFailuresFilter implements ExceptionFilter<TooManyFailures> {
  constructor(private readonly host: HttpAdapterHost) {}

  catch(error: TooManyFailures, context: ArgumentsHost): void {
    const response: unknown = context.switchToHttp().getResponse();
    const { httpAdapter } = this.host;
    httpAdapter.setHeader(response, 'Retry-After', String(error.retryAfter));
    httpAdapter.reply(response, error.getResponse(), error.getStatus());
  }
}
