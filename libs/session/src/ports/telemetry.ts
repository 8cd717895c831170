// The part of `@opentelemetry/api` that the library uses. That package is optional, so its types may be absent.

export interface TelemetryAttributes {
  [name: string]: string | number | boolean | undefined;
}

export interface TelemetryCounter {
  add(value: number, attributes?: TelemetryAttributes): void;
}

export interface TelemetryHistogram {
  record(value: number, attributes?: TelemetryAttributes): void;
}

export interface TelemetryObservable {
  observe(value: number, attributes?: TelemetryAttributes): void;
}

/** A gauge or counter that is asked for its values. */
export interface TelemetryGauge {
  addCallback(callback: (observable: TelemetryObservable) => void | Promise<void>): void;
  removeCallback(callback: (observable: TelemetryObservable) => void | Promise<void>): void;
}

export interface InstrumentOptions {
  description?: string;
  unit?: string;
  advice?: { explicitBucketBoundaries?: number[] };
}

export interface TelemetryMeter {
  createCounter(name: string, options?: InstrumentOptions): TelemetryCounter;
  createHistogram(name: string, options?: InstrumentOptions): TelemetryHistogram;
  createObservableGauge(name: string, options?: InstrumentOptions): TelemetryGauge;
  createObservableCounter(name: string, options?: InstrumentOptions): TelemetryGauge;
}

/** A `MeterProvider` of OpenTelemetry. */
export interface TelemetryMeterProvider {
  getMeter(name: string, version?: string): TelemetryMeter;
}

export interface TelemetrySpan {
  setAttribute(name: string, value: string): unknown;
  setStatus(status: { code: number }): unknown;
  end(): void;
}

export interface TelemetryTracer {
  startActiveSpan<T>(
    name: string,
    options: { kind?: number; attributes?: TelemetryAttributes },
    run: (span: TelemetrySpan) => T,
  ): T;
}

/** A `TracerProvider` of OpenTelemetry. */
export interface TelemetryTracerProvider {
  getTracer(name: string, version?: string): TelemetryTracer;
}
