import { DEFAULT_MAX_RECORD_BYTES } from '../model/record.js';
import { HARD_SESSION_LIMIT, type SessionLimit } from '../model/limit.js';
import { ConfigurationError } from '../model/errors.js';
import { assertTenant } from '../model/tenant.js';

/** Options of both store adapters. All durations are in milliseconds. */
export interface SessionStoreOptions {
  /** How long a session lives without an access. Default 30 minutes. */
  idleTimeout?: number;
  /** Absolute lifetime of a session. Default 24 hours. */
  absoluteTimeout?: number;
  /** Default: 5 sessions per user; beyond that the least recently used one is evicted. */
  limit?: SessionLimit;
  /** Cap on one session's record, bytes of UTF-8. Default 65,536. */
  maxRecordBytes?: number;
  /** The tenant whose sessions are kept: those of other tenants do not exist for this store. Default: no tenants. */
  tenant?: string;
  /** How long an ended session is remembered, ms. Default 5 minutes. */
  tombstoneTtl?: number;
  /** Keeps events for consumers. Default: off. */
  eventStream?: EventStreamSettings | null;
  /** Whether reads tell the key to which a session is bound. Default true; the module reads none without `deviceBound`. */
  deviceBinding?: boolean;
}

export interface EventStreamSettings {
  /**
   * Approximate maximum number of events kept; the oldest are dropped. On a Cluster spread over all streams, with at
   * least 100 in each.
   */
  readonly maxLength: number;
  /** How long events are kept after the latest, ms. */
  readonly retention: number;
}

export type ResolvedStoreOptions = Readonly<Required<SessionStoreOptions>>;

/** @throws {ConfigurationError} when a value is out of range. */
export function resolveStoreOptions(options: SessionStoreOptions = {}): ResolvedStoreOptions {
  const resolved: ResolvedStoreOptions = {
    idleTimeout: options.idleTimeout ?? 30 * 60_000,
    absoluteTimeout: options.absoluteTimeout ?? 24 * 60 * 60_000,
    limit: options.limit ?? { max: 5, onLimit: 'evict-least-recent' },
    maxRecordBytes: options.maxRecordBytes ?? DEFAULT_MAX_RECORD_BYTES,
    tenant: options.tenant ?? '',
    tombstoneTtl: options.tombstoneTtl ?? 5 * 60_000,
    eventStream: options.eventStream ?? null,
    deviceBinding: options.deviceBinding ?? true,
  };
  for (const name of ['idleTimeout', 'absoluteTimeout', 'maxRecordBytes', 'tombstoneTtl'] as const) {
    if (!Number.isSafeInteger(resolved[name]) || resolved[name] <= 0) {
      throw new ConfigurationError(
        `${name}: must be a whole number above 0, in ${name === 'maxRecordBytes' ? 'bytes' : 'milliseconds'}.`,
      );
    }
  }
  assertTenant(resolved.tenant);
  assertLimit(resolved.limit);
  return Object.freeze(resolved);
}

/** @throws {ConfigurationError} */
export function assertLimit(limit: SessionLimit): void {
  for (const max of [limit.max, limit.maxOfType ?? limit.max]) {
    if (!Number.isInteger(max) || max < 1 || max > HARD_SESSION_LIMIT) {
      throw new ConfigurationError(
        `maxSessionsPerUser: must be a whole number from 1 to ${HARD_SESSION_LIMIT}, got ${String(max)}.`,
      );
    }
  }
}
