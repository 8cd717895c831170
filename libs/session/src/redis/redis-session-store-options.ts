import type { SessionStoreOptions } from '../options/store-options.js';
import type { ListenerErrorHandler } from '../ports/listeners.js';

export interface RedisSessionStoreOptions extends SessionStoreOptions {
  /** Prefix of every key. Default `session:`. */
  keyPrefix?: string;
  /** Longest wait for an answer of Redis, ms. Default 500. */
  commandTimeout?: number;
  /** How many replicas must confirm the end of a session before it counts. Default 0. */
  minReplicas?: number;
  /**
   * Whether `ready` checks the servers. `true` refuses a server that can forget a revocation, `false` only logs it.
   * Default: no check.
   */
  strictRedis?: boolean;
  /** Longest wait of `ready` for a server, ms. Default 10,000. */
  readyTimeout?: number;
  /** Receives errors thrown by event listeners. Default: ignored. */
  onListenerError?: ListenerErrorHandler;
  /** Milliseconds added to Redis's time, so that tests can move it. @internal */
  timeShift?: () => number;
}
