import type { LogLevel } from '@nestjs/common';
import * as z from './schema.js';
import { SESSION_EVENT_TYPES, type SessionEventType } from '../model/events.js';
import type { HistoryLimits } from '../ports/session-history.js';
import type { TelemetryMeterProvider, TelemetryTracerProvider } from '../ports/telemetry.js';
import { LONGEST_DURATION, notADuration, parseDuration, type Duration } from './duration.js';
import type { EventStreamSettings } from './store-options.js';

/** Level of Nest's logger at which an event is logged, or `off`. */
export type EventLogLevel = LogLevel | 'off';

export interface EventStreamOptions {
  /** Approximate maximum number of events kept; the oldest are dropped. Default 10,000. */
  maxLength?: number;
  /** How long events are kept after the latest one. Default 7 days. */
  retention?: Duration;
}

export interface SessionEventOptions {
  /** Logs one line per event. `false` logs none; an object overrides the level of single types. Default true. */
  log?: boolean | Partial<Record<SessionEventType, EventLogLevel>>;
  /** Keeps events for `SessionEvents.consume`. `true` takes the defaults. Default false. */
  stream?: boolean | EventStreamOptions;
}

export interface SessionHistoryOptions {
  /** Maximum number of entries per user. Default 100. */
  maxEntries?: number;
  /** How long an entry is kept. Default 90 days. */
  retention?: Duration;
}

/** The providers of metrics and spans. */
export interface TelemetryOptions {
  /** Default: the process's own, if an SDK registers one before the application starts. */
  meterProvider?: TelemetryMeterProvider;
  /** Default: the process's own, if an SDK registers one before the application starts. */
  tracerProvider?: TelemetryTracerProvider;
}

export interface ResolvedEventOptions {
  /** Null: nothing is logged. */
  readonly log: Readonly<Record<SessionEventType, EventLogLevel>> | null;
  readonly stream: EventStreamSettings | null;
}

export type ResolvedHistoryOptions = HistoryLimits;

/** Events that need attention are warnings; events of every use are logged only at `debug`. */
const LEVELS: Readonly<Record<SessionEventType, EventLogLevel>> = {
  created: 'log',
  regenerated: 'log',
  refreshed: 'debug',
  changed: 'debug',
  ended: 'log',
  'new-device': 'log',
  'impersonation-started': 'warn',
  bound: 'log',
  'binding-failed': 'warn',
  'bound-cookie-missing': 'warn',
  'admin-action': 'warn',
  'use-after-end': 'warn',
  'reuse-detected': 'warn',
  'hijack-suspected': 'warn',
  'limit-reached': 'warn',
  'rotation-lost': 'warn',
  damaged: 'warn',
  'writes-lost': 'error',
  // The connection logs the trouble, once for many ends.
  'end-unconfirmed': 'debug',
  authenticated: 'log',
  'sign-in-failed': 'warn',
  'request-refused': 'warn',
};

const LOG_LEVELS = ['off', 'fatal', 'error', 'warn', 'log', 'debug', 'verbose'] as const satisfies EventLogLevel[];
const STREAM: EventStreamSettings = { maxLength: 10_000, retention: 7 * 24 * 60 * 60_000 };
const HISTORY: HistoryLimits = { maxEntries: 100, retention: 90 * 24 * 60 * 60_000 };

const durationOr = (fallback: number) =>
  z
    .unknown()
    .transform((value, context) => {
      if (value === undefined) return fallback;
      const duration = parseDuration(value);
      if (duration !== null && duration <= LONGEST_DURATION) return duration;
      context.addIssue({ code: 'custom', message: notADuration(value) });
      return z.NEVER;
    })
    .optional()
    .transform((value) => value ?? fallback);

const wholeNumber = (least: number, most: number, fallback: number) => {
  const error = `must be a whole number from ${least} to ${most}`;
  return z.int({ error }).min(least, { error }).max(most, { error }).default(fallback);
};

const has = <T>(method: string, error: string) =>
  z.custom<T>((value) => typeof (value as Record<string, unknown> | null | undefined)?.[method] === 'function', {
    error,
  });

export const eventsSchema = z.strictObject({
  log: z
    .union([z.boolean(), z.partialRecord(z.enum(SESSION_EVENT_TYPES), z.enum(LOG_LEVELS))], {
      error: `must be true, false or levels by type, such as { created: "debug" }; types are ${SESSION_EVENT_TYPES.join(', ')}, levels ${LOG_LEVELS.join(', ')}`,
    })
    .default(true)
    .transform((value) => (value === false ? null : { ...LEVELS, ...(value === true ? {} : value) })),
  stream: z
    .union(
      [
        z.boolean(),
        z.strictObject({
          maxLength: wholeNumber(1, 10_000_000, STREAM.maxLength),
          retention: durationOr(STREAM.retention),
        }),
      ],
      { error: 'must be true, false or { maxLength, retention }' },
    )
    .default(false)
    .transform((value) => (value === false ? null : value === true ? STREAM : value)),
});

export const historySchema = z
  .union(
    [
      z.boolean(),
      z.strictObject({
        maxEntries: wholeNumber(1, 10_000, HISTORY.maxEntries),
        retention: durationOr(HISTORY.retention),
      }),
    ],
    { error: 'must be true, false or { maxEntries, retention }' },
  )
  .default(false)
  .transform((value) => (value === false ? null : value === true ? HISTORY : value));

export const telemetrySchema = z
  .union(
    [
      z.boolean(),
      z.strictObject({
        meterProvider: has<TelemetryMeterProvider>('getMeter', 'must be a MeterProvider of OpenTelemetry').optional(),
        tracerProvider: has<TelemetryTracerProvider>(
          'getTracer',
          'must be a TracerProvider of OpenTelemetry',
        ).optional(),
      }),
    ],
    { error: 'must be true, false or { meterProvider, tracerProvider }' },
  )
  .default(true)
  .transform((value) => (value === false ? null : value === true ? {} : value));
