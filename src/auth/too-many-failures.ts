import { HttpException, HttpStatus } from '@nestjs/common';

/** Too many wrong passwords for one account from one address. */
export class TooManyFailures extends HttpException {
  /** Seconds to wait, at least one. */
  readonly retryAfter: number;

  constructor(msBeforeNext: number) {
    const retryAfter = Math.max(1, Math.ceil(msBeforeNext / 1000));
    const statusCode = HttpStatus.TOO_MANY_REQUESTS;
    const message = `Too many failed attempts. Try again in ${retryAfter} seconds.`;
    super({ statusCode, error: 'Too Many Requests', code: 'too_many_failures', message }, statusCode);
    this.retryAfter = retryAfter;
  }
}
