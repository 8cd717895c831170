import { StoreUnavailableError } from '../model/errors.js';
import type { SessionEvent } from '../model/events.js';
import type { SessionStore } from '../ports/session-store.js';
import type { TelemetryCounter, TelemetryHistogram, TelemetryMeter, TelemetryTracer } from '../ports/telemetry.js';
import { observedStore, type StoreOperation } from './observed-store.js';

/** Under which every metric and span is found. */
export const TELEMETRY_SCOPE = 'nestjs-sessions';

/** Seconds. A store answers in a millisecond, and gives up after half a second. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

// Of `@opentelemetry/api`, which may not be there.
const SPAN_KIND_CLIENT = 2;
const STATUS_ERROR = 2;

interface Instruments {
  readonly requests: TelemetryCounter;
  readonly storeDuration: TelemetryHistogram;
  readonly created: TelemetryCounter;
  readonly ended: TelemetryCounter;
  readonly events: TelemetryCounter;
  readonly touches: TelemetryCounter;
  readonly sweeps: TelemetryCounter;
  readonly swept: TelemetryCounter;
}

/** Counts and times what happens, where somebody wants to know; does nothing and costs nothing otherwise. */
export class SessionTelemetry {
  private readonly instruments: Instruments | null;

  constructor(
    readonly meter: TelemetryMeter | null,
    private readonly tracer: TelemetryTracer | null,
  ) {
    this.instruments = meter && makeInstruments(meter);
  }

  /** The store with its operations counted, timed and traced, or itself where nobody wants to know. */
  observe(store: SessionStore): SessionStore {
    const { instruments, tracer } = this;
    if (!instruments && !tracer) return store;
    return observedStore(store, (operation, run) => {
      const measured = instruments ? () => measure(instruments, operation, run) : run;
      return tracer ? trace(tracer, operation, measured) : measured();
    });
  }

  /** Counts a request by what became of its credentials: `authenticated`, `none`, or the code of the refusal. */
  countRequest(asked: Promise<{ state: string; transport?: string; error?: { code: string } }>): void {
    const { instruments } = this;
    if (!instruments) return;
    asked.then(
      ({ state, transport, error }) =>
        instruments.requests.add(1, { outcome: error?.code ?? state, ...(transport !== undefined && { transport }) }),
      (error: unknown) =>
        instruments.requests.add(1, { outcome: error instanceof StoreUnavailableError ? error.code : 'error' }),
    );
  }

  /** Counts an event. Those of other instances are counted there. */
  countEvent(event: SessionEvent): void {
    if (!this.instruments || event.remote) return;
    const { events, created, ended } = this.instruments;
    events.add(1, { type: event.type });
    if (event.type === 'created') created.add(1);
    if (event.type === 'ended') ended.add(1, { reason: event.reason });
  }
}

function makeInstruments(meter: TelemetryMeter): Instruments {
  const counter = (name: string, description: string): TelemetryCounter =>
    meter.createCounter(`nestjs_sessions.${name}`, { description });
  return {
    requests: counter('requests', 'Requests by what became of their credentials'),
    storeDuration: meter.createHistogram('nestjs_sessions.store.duration', {
      description: 'How long the store took, by operation and outcome',
      unit: 's',
      advice: { explicitBucketBoundaries: BUCKETS },
    }),
    created: counter('created', 'Sessions that started'),
    ended: counter('ended', 'Sessions that ended, by reason'),
    events: counter('events', 'Events that this instance caused, by type'),
    touches: counter('touches', 'Accesses that were recorded, by outcome'),
    sweeps: counter('sweeps', 'Steps of the sweeper, by outcome'),
    swept: counter('swept', 'Sessions that the sweeper removed'),
  };
}

async function measure(
  instruments: Instruments,
  operation: StoreOperation,
  run: () => Promise<unknown>,
): Promise<unknown> {
  const { storeDuration, touches, sweeps, swept } = instruments;
  const startedAt = performance.now();
  let outcome = 'ok';
  try {
    const result = await run();
    if (operation === 'touch') touches.add(1, { outcome: result === true ? 'recorded' : 'gone' });
    if (operation === 'sweep') swept.add(Number(result));
    return result;
  } catch (error) {
    outcome = outcomeOf(error);
    if (operation === 'touch') touches.add(1, { outcome });
    throw error;
  } finally {
    storeDuration.record((performance.now() - startedAt) / 1000, { operation, outcome });
    if (operation === 'sweep') sweeps.add(1, { outcome });
  }
}

function trace(tracer: TelemetryTracer, operation: StoreOperation, run: () => Promise<unknown>): Promise<unknown> {
  const attributes = { 'nestjs_sessions.operation': operation };
  return tracer.startActiveSpan(`session.store ${operation}`, { kind: SPAN_KIND_CLIENT, attributes }, async (span) => {
    try {
      return await run();
    } catch (error) {
      // The code and no more: a message of Redis may name hosts.
      span.setAttribute('error.type', outcomeOf(error));
      span.setStatus({ code: STATUS_ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}

function outcomeOf(error: unknown): string {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'error';
}
