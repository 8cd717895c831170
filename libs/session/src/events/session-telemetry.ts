import { StoreUnavailableError } from '../model/errors.js';
import type { SessionEvent } from '../model/events.js';
import type { SessionStore } from '../ports/session-store.js';
import type { TelemetryCounter, TelemetryHistogram, TelemetryMeter, TelemetryTracer } from '../ports/telemetry.js';
import { MeterOfRealm } from './meter-of-realm.js';
import { ObservedSessionStore, type StoreOperation } from './observed-session-store.js';

/** Instrumentation scope of every metric and span. */
export const TELEMETRY_SCOPE = 'nestjs-sessions';

/** Seconds. A store usually answers in a millisecond, and fails after half a second. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

// Constants of `@opentelemetry/api`, which may be absent.
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

interface RequestOutcome {
  readonly state: string;
  readonly transport?: string;
  readonly jkt?: string | undefined;
  readonly error?: { readonly code: string };
}

/** Counts, times and traces where a meter or tracer is set; otherwise does nothing and costs nothing. */
export class SessionTelemetry {
  private readonly instruments: Instruments | null;

  constructor(
    readonly meter: TelemetryMeter | null,
    private readonly tracer: TelemetryTracer | null,
  ) {
    this.instruments = meter && makeInstruments(meter);
  }

  /** The same for the sessions of a realm: each measurement has its name as the attribute `realm`. */
  forRealm(realm: string): SessionTelemetry {
    return new SessionTelemetry(this.meter && new MeterOfRealm(this.meter, realm), this.tracer);
  }

  /** The store with its operations counted, timed and traced, or the store itself without meter and tracer. */
  observe(store: SessionStore): SessionStore {
    const { instruments, tracer } = this;
    if (!instruments && !tracer) return store;
    return new ObservedSessionStore(store, (operation, run) => {
      const measured = instruments ? () => measure(instruments, operation, run) : run;
      return tracer ? trace(tracer, operation, measured) : measured();
    });
  }

  /** Counts a request by the outcome of its credentials: `authenticated`, `none`, or the code of the refusal. */
  countRequest(asked: Promise<RequestOutcome>): void {
    const { instruments } = this;
    if (!instruments) return;
    asked.then(
      (answer) => this.countAnswer(answer),
      (error: unknown) =>
        instruments.requests.add(1, { outcome: error instanceof StoreUnavailableError ? error.code : 'error' }),
    );
  }

  /** Like `countRequest`, for a result that is known. */
  countAnswer({ state, transport, jkt, error }: RequestOutcome): void {
    this.instruments?.requests.add(1, {
      outcome: error?.code ?? state,
      ...(transport !== undefined && { transport }),
      ...(jkt !== undefined && { scheme: 'dpop' }),
    });
  }

  /** Counts an event of this instance. */
  countEvent(event: SessionEvent): void {
    if (!this.instruments || event.remote) return;
    const { events, created, ended } = this.instruments;
    events.add(1 + ('omitted' in event ? (event.omitted ?? 0) : 0), { type: event.type });
    if (event.type === 'created') created.add(1);
    if (event.type === 'ended') ended.add(1, { reason: event.reason });
  }
}

function makeInstruments(meter: TelemetryMeter): Instruments {
  const counter = (name: string, description: string): TelemetryCounter =>
    meter.createCounter(`nestjs_sessions.${name}`, { description });
  return {
    requests: counter('requests', 'Requests by the result for their credentials'),
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

async function measure<T>(instruments: Instruments, operation: StoreOperation, run: () => Promise<T>): Promise<T> {
  const { storeDuration, touches, sweeps, swept } = instruments;
  const startedAt = performance.now();
  let outcome = 'ok';
  try {
    const result = await run();
    if (operation === 'touch') touches.add(1, { outcome: result ? 'recorded' : 'gone' });
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

function trace<T>(tracer: TelemetryTracer, operation: StoreOperation, run: () => Promise<T>): Promise<T> {
  const attributes = { 'nestjs_sessions.operation': operation };
  return tracer.startActiveSpan(`session.store ${operation}`, { kind: SPAN_KIND_CLIENT, attributes }, async (span) => {
    try {
      return await run();
    } catch (error) {
      // Only the code: a message from Redis may contain host names.
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
