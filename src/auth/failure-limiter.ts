import { createHash } from 'node:crypto';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Cluster, Redis } from 'ioredis';
import { SESSION_OPTIONS, StoreUnavailableError, type ResolvedSessionOptions } from 'nestjs-sessions';
import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible';
import { ENVIRONMENT, type Environment } from '../config/environment.js';
import { networkOf } from '../http/network.js';
import { REDIS, within } from '../redis/redis.js';
import { TooManyFailures } from './too-many-failures.js';

/** Number of failures of one account from one network in a minute before further attempts are refused. */
export const FAILURES = 10;
/** The same for one network and any account: guessing one password for many accounts. */
export const NETWORK_FAILURES = 100;
const SECONDS = 60;

/**
 * An account and the address of the client. Counted together, so that nobody can lock an account from another address.
 */
export interface Attempt {
  account: string;
  address: string;
}

/** Counts failed password checks. Successful ones never count. */
@Injectable()
export class FailureLimiter {
  private readonly logger = new Logger(FailureLimiter.name);
  private readonly limiter: RateLimiterAbstract;
  private readonly networks: RateLimiterAbstract;
  private saidAt = 0;

  constructor(
    @Inject(REDIS) redis: Redis | Cluster | null,
    @Inject(ENVIRONMENT) { keyPrefix }: Environment,
    @Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
  ) {
    const settings = { points: FAILURES, duration: SECONDS, keyPrefix: `${keyPrefix}failures` };
    const limiter = (points: number, suffix: string): RateLimiterAbstract => {
      const own = { ...settings, points, keyPrefix: `${settings.keyPrefix}${suffix}` };
      return redis
        ? new RateLimiterRedis({ ...own, storeClient: redis, rejectIfRedisNotReady: true })
        : new RateLimiterMemory(own);
    };
    this.limiter = limiter(FAILURES, '');
    this.networks = limiter(NETWORK_FAILURES, ':network');
  }

  /**
   * The result of `prove`; null counts as a failure. Reads the count twice: before, to save the work, and after, so
   * that parallel guesses get no more answers than sequential ones.
   *
   * @throws {TooManyFailures} after ten failures within a minute for the account from this network, or a hundred from
   * this network, whatever `prove` would return.
   * @throws {StoreUnavailableError} if failures cannot be counted, because unlimited guessing is no alternative.
   */
  async limit<T>(attempt: Attempt, prove: () => Promise<T | null>): Promise<T | null> {
    const key = keyOf(attempt);
    const network = keyOf({ account: '', address: attempt.address });
    const counts = [
      { limiter: this.limiter, key, most: FAILURES },
      { limiter: this.networks, key: network, most: NETWORK_FAILURES },
    ];
    const refuseAtLimit = (): Promise<unknown> =>
      Promise.all(counts.map(({ limiter, key: of, most }) => this.refuseAfter(most, () => limiter.get(of))));
    await refuseAtLimit();
    const proof = await prove();
    if (proof !== null) await refuseAtLimit();
    else
      await Promise.all(
        counts.map(({ limiter, key: of, most }) => this.refuseAfter(most + 1, () => limiter.penalty(of))),
      );
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

  /** An outage is logged once in a while, not once per request. */
  private sayOnceInAWhile(message: string): void {
    if (Date.now() - this.saidAt < SECONDS * 1000) return;
    this.saidAt = Date.now();
    this.logger.warn(message);
  }
}

/** Of fixed length for any input, and without personal data. */
function keyOf({ account, address }: Attempt): string {
  const who = JSON.stringify([account.toLowerCase(), networkOf(address)]);
  return createHash('sha256').update(who).digest('base64url');
}
