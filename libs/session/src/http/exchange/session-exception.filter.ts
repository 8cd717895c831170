import { Catch, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { throwError } from 'rxjs';
import { SessionError } from '../../model/errors.js';
import { findExchange } from './http-exchange.js';
import { refusal, refusalFor } from './http-errors.js';

/** Answers the library's errors that handlers throw. Guards answer their own. */
@Catch(SessionError)
export class SessionExceptionFilter implements ExceptionFilter<SessionError> {
  private readonly logger = new Logger(SessionExceptionFilter.name);

  constructor(private readonly adapterHost: HttpAdapterHost) {}

  catch(error: SessionError, host: ArgumentsHost): unknown {
    const type: string = host.getType();
    if (error.statusCode >= 500 && error.code !== 'store_unavailable') this.logger.error(error.message, error.stack);
    if (type === 'rpc') return throwError(() => error);
    if (type === 'ws') return this.answerSocket(error, host);
    const exchange = findExchange(host);
    if (type !== 'http') throw refusalFor(error, exchange);
    const exception = refusal(error, exchange);
    const { httpAdapter } = this.adapterHost;
    const response: unknown = host.getArgByIndex(1);
    if (httpAdapter.isHeadersSent(response)) httpAdapter.end(response);
    else httpAdapter.reply(response, exception.getResponse(), exception.getStatus());
    return undefined;
  }

  private answerSocket(error: SessionError, host: ArgumentsHost): void {
    const client: unknown = host.getArgByIndex(0);
    const body = { status: 'error', code: error.code, message: refusal(error, null).message };
    const { emit, send } = client as { emit?: unknown; send?: unknown };
    // `emit` of a plain socket calls local listeners and does not reach the client.
    if (typeof send === 'function' && 'readyState' in (client as object)) {
      Reflect.apply(send, client, [JSON.stringify({ event: 'exception', data: body })]);
    } else if (typeof emit === 'function') {
      Reflect.apply(emit, client, ['exception', body]);
    }
  }
}
