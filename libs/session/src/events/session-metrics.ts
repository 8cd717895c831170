import type { OnApplicationShutdown, OnModuleInit } from '@nestjs/common';
import type { SessionStore } from '../ports/session-store.js';
import { TenantsSessionStore } from '../ports/tenants/tenants-session-store.js';
import type { TelemetryGauge, TelemetryObservable } from '../ports/telemetry.js';
import type { SessionEvents } from './session-events.js';
import type { SessionTelemetry } from './session-telemetry.js';

/** Maximum age of the reported number of active sessions, ms: counting reads every part of the store. */
const COUNT_FOR = 10_000;

/** Counts events, and reports the number of live sessions to metrics readers. */
export class SessionMetrics implements OnModuleInit, OnApplicationShutdown {
  private gauge: TelemetryGauge | null = null;
  private lookups: TelemetryGauge | null = null;
  private counted: { readonly at: number; readonly active: Promise<number> } | null = null;

  constructor(
    private readonly telemetry: SessionTelemetry,
    private readonly events: SessionEvents,
    private readonly store: SessionStore,
    /** How often near caches were asked, by what they keep, and by outcome. */
    private readonly nearCaches: Readonly<Record<string, () => Readonly<Record<string, number>>>> = {},
  ) {}

  onModuleInit(): void {
    const { meter } = this.telemetry;
    if (!meter) return;
    this.events.all$.subscribe((event) => this.telemetry.countEvent(event));
    this.gauge = meter.createObservableGauge('nestjs_sessions.active', {
      description: 'Live sessions of all users on all instances; every instance reports the same number',
    });
    this.gauge.addCallback(this.observe);
    if (Object.keys(this.nearCaches).length === 0) return;
    this.lookups = meter.createObservableCounter('nestjs_sessions.near_cache.lookups', {
      description: 'How often the near cache was asked, by what it keeps and whether it knew',
    });
    this.lookups.addCallback(this.observeLookups);
  }

  onApplicationShutdown(): void {
    this.gauge?.removeCallback(this.observe);
    this.lookups?.removeCallback(this.observeLookups);
  }

  private readonly observe = async (observable: TelemetryObservable): Promise<void> => {
    try {
      observable.observe(await this.count());
    } catch {
      // No number is better than a wrong one; the store has logged the error.
      this.counted = null;
    }
  };

  private readonly observeLookups = (observable: TelemetryObservable): void => {
    for (const [cache, counts] of Object.entries(this.nearCaches)) {
      for (const [outcome, times] of Object.entries(counts())) observable.observe(times, { cache, outcome });
    }
  };

  private async count(): Promise<number> {
    const now = performance.now();
    if (!this.counted || now - this.counted.at > COUNT_FOR) this.counted = { at: now, active: this.countOwn() };
    return this.counted.active;
  }

  private countOwn(): Promise<number> {
    return this.store instanceof TenantsSessionStore ? this.store.allTenants().count() : this.store.count();
  }
}
