import { Inject, Injectable } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { randomBytes } from 'node:crypto';
import { clockWarning } from '../model/clock-offset.js';
import { messageOf } from '../model/error-text.js';
import { ConfigurationError } from '../model/errors.js';
import { newSessionId } from '../model/ids.js';
import { notADuration, parseDuration, type Duration } from '../options/duration.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionStore, type StoreFinding } from '../ports/session-store.js';
import { settledWithin } from '../ports/settled-within.js';

export interface SessionHealthOptions {
  /** How long the store may take to answer. Default: the option `commandTimeout`. */
  timeout?: Duration;
  /**
   * Also what an operator should know of the servers: version, eviction, persistence, memory, role, replication lag, clock, and each
   * missing right, with the fix. It asks each server for INFO, and names hosts and users: only for a route that outsiders cannot
   * reach. Default false.
   */
  findings?: boolean;
}

/**
 * Whether sessions can be checked: asks the store for a session that does not exist, over the connection that the guards use. The
 * check is bounded in time, even if Redis accepts connections and never answers. It reports up or down without a cause, because a
 * cause would reveal host names; and `clockOffset`, the store's clock less this machine's in ms, with a `warning` if they differ by
 * more than five seconds. With `findings`, also what an operator should know of the servers, in words.
 *
 * ```ts
 * @Module({ imports: [TerminusModule], controllers: [HealthController], providers: [SessionHealthIndicator] })
 * export class HealthModule {}
 *
 * check() {
 *   return this.health.check([() => this.sessions.isHealthy()]);
 * }
 * ```
 */
@Injectable()
export class SessionHealthIndicator {
  constructor(
    private readonly indicators: HealthIndicatorService,
    private readonly store: SessionStore,
    @Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
  ) {}

  /**
   * Never rejects because of the store.
   *
   * @param key Under which the result stands. Default `sessions`.
   * @throws {ConfigurationError} for a timeout that is no duration.
   */
  async isHealthy<K extends string = 'sessions'>(
    key: K = 'sessions' as K,
    { timeout = this.options.commandTimeout, findings = false }: SessionHealthOptions = {},
  ): Promise<HealthIndicatorResult<K>> {
    const limit = parseDuration(timeout);
    if (limit === null) throw new ConfigurationError(`isHealthy: ${notADuration(timeout)}.`);
    let answered = false;
    // Another user each time: in a Cluster every node gets asked in the course of time.
    const asked = this.store.read(newSessionId(randomBytes(12).toString('base64url'))).then(
      () => {
        answered = true;
      },
      () => undefined,
    );
    let found: readonly StoreFinding[] = [
      { level: 'error', text: 'The servers behind the session store have not answered in time.' },
    ];
    const diagnosed = findings && this.diagnosed().then((words) => (found = words));
    await settledWithin(Promise.all([asked, diagnosed]), limit);
    const indicator = this.indicators.check(key);
    if (!answered) return findings ? indicator.down({ findings: found }) : indicator.down();
    const clockOffset = Math.round(this.store.now() - Date.now());
    const warning = clockWarning(clockOffset, 'the session store');
    return indicator.up({ clockOffset, ...(warning !== null && { warning }), ...(findings && { findings: found }) });
  }

  private async diagnosed(): Promise<readonly StoreFinding[]> {
    try {
      // A custom store may lack this method.
      return (await this.store.diagnose?.()) ?? [];
    } catch (error) {
      return [{ level: 'error', text: messageOf(error) }];
    }
  }
}
