import type { TelemetryOptions } from '../options/event-options.js';
import type { TelemetryMeterProvider, TelemetryTracerProvider } from '../ports/telemetry.js';
import { SessionTelemetry, TELEMETRY_SCOPE } from '../events/session-telemetry.js';

/**
 * Telemetry with the given providers, or those that an SDK has registered for the process. Without either, or without
 * `@opentelemetry/api`, nothing is measured.
 */
export async function loadTelemetry(options: Readonly<TelemetryOptions> | null): Promise<SessionTelemetry> {
  if (!options) return new SessionTelemetry(null, null);
  const ofProcess = options.meterProvider && options.tracerProvider ? null : await findProviders();
  const meterProvider = options.meterProvider ?? ofProcess?.meterProvider;
  const tracerProvider = options.tracerProvider ?? ofProcess?.tracerProvider;
  return new SessionTelemetry(
    meterProvider?.getMeter(TELEMETRY_SCOPE) ?? null,
    tracerProvider?.getTracer(TELEMETRY_SCOPE) ?? null,
  );
}

interface Providers {
  readonly meterProvider: TelemetryMeterProvider | undefined;
  readonly tracerProvider: TelemetryTracerProvider | undefined;
}

/**
 * The providers of the process. Without an SDK the API returns no-op ones, which would still cost a little at every
 * step.
 */
async function findProviders(): Promise<Providers | null> {
  try {
    const { createNoopMeter, metrics, ProxyTracerProvider, trace } = await import('@opentelemetry/api');
    const meterProvider = metrics.getMeterProvider();
    const tracerProvider = trace.getTracerProvider();
    const meters = meterProvider.getMeter(TELEMETRY_SCOPE) !== createNoopMeter();
    const traces =
      !(tracerProvider instanceof ProxyTracerProvider) ||
      tracerProvider.getDelegateTracer(TELEMETRY_SCOPE) !== undefined;
    return {
      meterProvider: meters ? meterProvider : undefined,
      tracerProvider: traces ? tracerProvider : undefined,
    };
  } catch {
    // Not installed.
    return null;
  }
}
