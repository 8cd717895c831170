import { HttpException } from '@nestjs/common';
import type { SessionError, SessionErrorCode } from '../../model/errors.js';

/**
 * A refusal as GraphQL drivers hand errors on: what stands in `extensions` reaches the client, the stable code included. An
 * `HttpException` for the filters of the application; without a `status` of its own, by which Apollo's driver would put a code of its
 * own in place of ours.
 */
export class SessionGraphqlException extends HttpException {
  readonly code: SessionErrorCode;
  readonly extensions: { readonly code: SessionErrorCode; readonly statusCode: number };

  constructor(error: SessionError) {
    super(error.getResponse(), error.statusCode, { cause: error });
    this.code = error.code;
    this.extensions = { code: error.code, statusCode: error.statusCode };
    Object.defineProperty(this, 'status', { value: undefined });
  }

  override getStatus(): number {
    return this.extensions.statusCode;
  }
}

export function graphqlRefusal(error: SessionError): SessionGraphqlException {
  return new SessionGraphqlException(error);
}
