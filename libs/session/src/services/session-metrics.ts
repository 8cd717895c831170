import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { SessionStore } from '../ports/session-store.js';
import type { TelemetryGauge, TelemetryObservable } from '../ports/telemetry.js';
import { SessionEvents } from './session-events.js';
import { SessionTelemetry } from './session-telemetry.js';

/** How old the number of active sessions may be that a scrape is told, ms: counting asks every part of the store. */
const COUNT_FOR = 10_000;

/** Counts events, and tells how many sessions live when a metrics reader asks. */
@Injectable()
export class SessionMetrics implements OnModuleInit, OnApplicationShutdown {
  private gauge: TelemetryGauge | null = null;
  private counted: { readonly at: number; readonly active: Promise<number> } | null = null;

  constructor(
    @Inject(SessionTelemetry) private readonly telemetry: SessionTelemetry,
    @Inject(SessionEvents) private readonly events: SessionEvents,
    @Inject(SessionStore) private readonly store: SessionStore,
  ) {}

  onModuleInit(): void {
    const { meter } = this.telemetry;
    if (!meter) return;
    this.events.all$.subscribe((event) => this.telemetry.countEvent(event));
    this.gauge = meter.createObservableGauge('nestjs_sessions.active', {
      description: 'Sessions that live, of all users and on all instances: the same number from each of them',
    });
    this.gauge.addCallback(this.observe);
  }

  onApplicationShutdown(): void {
    this.gauge?.removeCallback(this.observe);
  }

  private readonly observe = async (observable: TelemetryObservable): Promise<void> => {
    try {
      observable.observe(await this.count());
    } catch {
      // No number is better than a wrong one; the store has said what is the matter.
      this.counted = null;
    }
  };

  private async count(): Promise<number> {
    const now = performance.now();
    if (!this.counted || now - this.counted.at > COUNT_FOR) this.counted = { at: now, active: this.store.count() };
    return this.counted.active;
  }
}
