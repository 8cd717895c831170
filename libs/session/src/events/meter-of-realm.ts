import type {
  InstrumentOptions,
  TelemetryAttributes,
  TelemetryCounter,
  TelemetryGauge,
  TelemetryHistogram,
  TelemetryMeter,
  TelemetryObservable,
} from '../ports/telemetry.js';

type Observe = (observable: TelemetryObservable) => void | Promise<void>;

/** A meter of which every measurement has the attribute `realm`. */
export class MeterOfRealm implements TelemetryMeter {
  constructor(
    private readonly meter: TelemetryMeter,
    private readonly realm: string,
  ) {}

  createCounter(name: string, options?: InstrumentOptions): TelemetryCounter {
    const counter = this.meter.createCounter(name, options);
    return { add: (value, attributes) => counter.add(value, this.with(attributes)) };
  }

  createHistogram(name: string, options?: InstrumentOptions): TelemetryHistogram {
    const histogram = this.meter.createHistogram(name, options);
    return { record: (value, attributes) => histogram.record(value, this.with(attributes)) };
  }

  createObservableGauge(name: string, options?: InstrumentOptions): TelemetryGauge {
    return this.observing(this.meter.createObservableGauge(name, options));
  }

  createObservableCounter(name: string, options?: InstrumentOptions): TelemetryGauge {
    return this.observing(this.meter.createObservableCounter(name, options));
  }

  private observing(gauge: TelemetryGauge): TelemetryGauge {
    const callbacks = new Map<Observe, Observe>();
    return {
      addCallback: (callback) => {
        const own: Observe = (observable) =>
          callback({ observe: (value, attributes) => observable.observe(value, this.with(attributes)) });
        callbacks.set(callback, own);
        gauge.addCallback(own);
      },
      removeCallback: (callback) => {
        const own = callbacks.get(callback);
        if (own) gauge.removeCallback(own);
        callbacks.delete(callback);
      },
    };
  }

  private with(attributes: TelemetryAttributes = {}): TelemetryAttributes {
    return { ...attributes, realm: this.realm };
  }
}
