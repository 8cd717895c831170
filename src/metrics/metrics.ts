import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';

/**
 * The library's metrics, kept until Prometheus reads them. Only for this application: nothing is registered for the
 * process.
 */
@Injectable()
export class Metrics implements OnApplicationShutdown {
  private readonly exporter = new PrometheusExporter({ preventServerStart: true });
  private readonly serializer = new PrometheusSerializer();
  readonly meterProvider = new MeterProvider({ readers: [this.exporter] });

  /** All metrics so far, in the text format of Prometheus. Metrics that could not be read are omitted. */
  async text(): Promise<string> {
    const { resourceMetrics } = await this.exporter.collect();
    return this.serializer.serialize(resourceMetrics);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.meterProvider.shutdown();
  }
}
