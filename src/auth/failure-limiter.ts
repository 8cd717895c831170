import { createHash } from 'node:crypto';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { SESSION_OPTIONS, StoreUnavailableError, type ResolvedSessionOptions } from 'nestjs-sessions';
import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible';
import { ENVIRONMENT, type Environment } from '../config/environment.js';
import { networkOf } from '../http/network.js';
import { REDIS, within } from '../redis/redis.js';
import { TooManyFailures } from './too-many-failures.js';

/** Failures that are answered as such; the next one in the same minute is refused. */
export const FAILURES = 10;
const SECONDS = 60;

/** Who tries, and from where. Both together, so that nobody can lock somebody else out from another address. */
export interface Attempt {
  account: string;
  address: string;
}

/** Counts failed proofs of a password. Good ones never count. */
@Injectable()
export class FailureLimiter {
  private readonly logger = new Logger(FailureLimiter.name);
  private readonly limiter: RateLimiterAbstract;
  private saidAt = 0;

  constructor(
    @Inject(REDIS) redis: Redis | null,
    @Inject(ENVIRONMENT) { keyPrefix }: Environment,
    @Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
  ) {
    const settings = { points: FAILURES, duration: SECONDS, keyPrefix: `${keyPrefix}failures` };
    this.limiter = redis
      ? new RateLimiterRedis({ ...settings, storeClient: redis, rejectIfRedisNotReady: true })
      : new RateLimiterMemory(settings);
  }

  /**
   * What `prove` gives, or null when it gives null, which counts as a failure. Asks twice: before, to spare the work,
   * and after, so that guesses in parallel get no more answers than guesses in a row.
   *
   * @throws {TooManyFailures} after ten failures within a minute, whatever `prove` would say.
   * @throws {StoreUnavailableError} when the failures cannot be counted: guessing without a limit is no alternative.
   */
  async limit<T>(attempt: Attempt, prove: () => Promise<T | null>): Promise<T | null> {
    const key = keyOf(attempt);
    await this.refuseAfter(FAILURES, () => this.limiter.get(key));
    const proof = await prove();
    if (proof === null) await this.refuseAfter(FAILURES + 1, () => this.limiter.penalty(key));
    else await this.refuseAfter(FAILURES, () => this.limiter.get(key));
    return proof;
  }

  private async refuseAfter(
    failures: number,
    ask: () => Promise<{ consumedPoints: number; msBeforeNext: number } | null>,
  ): Promise<void> {
    const state = await within(this.options.commandTimeout, ask()).catch((error: unknown) => {
      this.sayOnceInAWhile('Failed sign-ins cannot be counted: Redis does not answer');
      throw new StoreUnavailableError(undefined, { cause: error });
    });
    if (state && state.consumedPoints >= failures) throw new TooManyFailures(state.msBeforeNext);
  }

  /** An outage is one piece of news, not one a request. */
  private sayOnceInAWhile(message: string): void {
    if (Date.now() - this.saidAt < SECONDS * 1000) return;
    this.saidAt = Date.now();
    this.logger.warn(message);
  }
}

/** Of one length whatever was typed in, and naming nobody. */
function keyOf({ account, address }: Attempt): string {
  const who = JSON.stringify([account.toLowerCase(), networkOf(address)]);
  return createHash('sha256').update(who).digest('base64url');
}
