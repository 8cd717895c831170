import { Test } from '@nestjs/testing';
import { metrics, trace } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
  type MetricData,
} from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { jest } from '@jest/globals';
import {
  getSessionToken,
  SessionModule,
  SessionService,
  SessionStore,
  type SessionModuleOptions,
} from '../../src/index.js';
import { MemorySessionStore } from '../../src/memory/memory-session-store.js';
import { resolveSessionOptions } from '../../src/options/resolve-options.js';
import { DelegatingSessionStore } from '../../src/ports/delegating-session-store.js';
import { ObservedSessionStore } from '../../src/events/observed-session-store.js';
import { AccountController } from '../support/account.controller.js';
import { closeApps, PLATFORMS, startApp } from '../support/app.js';
import { CountingStore } from '../support/counting-store.js';

/** Metrics in this process, read on demand. */
class Metered {
  private readonly exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  private readonly reader = new PeriodicExportingMetricReader({
    exporter: this.exporter,
    exportIntervalMillis: 3_600_000,
  });
  readonly meterProvider = new MeterProvider({ readers: [this.reader] });

  /** The values of an instrument by their attributes, as text: `reason=logout` → 1. */
  async values(name: string): Promise<Record<string, number>> {
    const data = await this.data(`nestjs_sessions.${name}`);
    const values: Record<string, number> = {};
    for (const { attributes, value } of data?.dataPoints ?? []) {
      const key = Object.entries(attributes)
        .map(([attribute, each]) => `${attribute}=${String(each)}`)
        .sort()
        .join(' ');
      values[key] = typeof value === 'number' ? value : value.count;
    }
    return values;
  }

  async close(): Promise<void> {
    await this.meterProvider.shutdown();
  }

  private async data(name: string): Promise<MetricData | undefined> {
    this.exporter.reset();
    await this.meterProvider.forceFlush();
    return this.exporter
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
      .find(({ descriptor }) => descriptor.name === name);
  }
}

describe('telemetry', () => {
  let metered: Metered;
  const apps: { close(): Promise<void> }[] = [];

  beforeEach(() => {
    metered = new Metered();
  });
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.close()));
    await closeApps();
    await metered.close();
    metrics.disable();
    trace.disable();
  });

  it('measurements of a realm name it, beside those of the application', async () => {
    const { meterProvider } = metered;
    const app = await startApp({
      platform: 'express',
      module: SessionModule.forRoot({ telemetry: { meterProvider } }),
      imports: [SessionModule.forFeature({ realm: 'admin' })],
    });
    const staff = app.app.get<SessionService>(getSessionToken(SessionService, 'admin'));
    await app.app.get(SessionService).start({ userId: 'ann' });
    for (const userId of ['bob', 'eve']) await staff.start({ userId });
    expect(await metered.values('active')).toEqual({ '': 1, 'realm=admin': 2 });
    expect(await metered.values('created')).toEqual({ '': 1, 'realm=admin': 2 });
    expect(await metered.values('store.duration')).toMatchObject({ 'operation=create outcome=ok realm=admin': 2 });
  });

  async function open(options: SessionModuleOptions) {
    const app = await Test.createTestingModule({
      imports: [SessionModule.forRoot({ events: { log: false }, ...options })],
    }).compile();
    await app.init();
    apps.push(app);
    return { sessions: app.get(SessionService), store: app.get(SessionStore) };
  }

  it('is nothing at all without a SDK: the store is the one that was given', async () => {
    const store = new CountingStore();
    expect((await open({ store })).store).toBe(store);
    expect((await open({ store, telemetry: false })).store).toBe(store);
  });

  it('is nothing with a SDK where it is switched off', async () => {
    metrics.setGlobalMeterProvider(metered.meterProvider);
    const store = new CountingStore();
    expect((await open({ store, telemetry: false })).store).toBe(store);
  });

  it('uses the providers that a SDK has set for the process', async () => {
    metrics.setGlobalMeterProvider(metered.meterProvider);
    const { sessions } = await open({});
    await sessions.start({ userId: 'ada' });
    expect(await metered.values('created')).toEqual({ '': 1 });
    expect(await metered.values('store.duration')).toMatchObject({ 'operation=create outcome=ok': 1 });
  });

  it('counts starts, ends by reason, events, touches and sweeps, and times the store', async () => {
    const store = new CountingStore();
    const { sessions, store: observed } = await open({ store, telemetry: { meterProvider: metered.meterProvider } });
    const ids: string[] = [];
    for (const userId of ['ada', 'bob', 'eve']) ids.push((await sessions.start({ userId })).session.id);
    await sessions.end(ids[0] ?? '');
    await sessions.end(ids[1] ?? '', { reason: 'admin' });
    expect(await observed.touch(ids[2] ?? '')).toBe(true);
    expect(await observed.touch(ids[0] ?? '')).toBe(false);
    store.failing.add('touch');
    await expect(observed.touch(ids[2] ?? '')).rejects.toMatchObject({ code: 'store_unavailable' });
    store.advance(31 * 60_000);
    expect(await observed.sweep()).toBe(1);
    expect(await metered.values('created')).toEqual({ '': 3 });
    expect(await metered.values('ended')).toEqual({ 'reason=logout': 1, 'reason=admin': 1, 'reason=idle': 1 });
    expect(await metered.values('events')).toEqual({
      'type=authenticated': 3,
      'type=created': 3,
      'type=ended': 3,
    });
    expect(await metered.values('touches')).toEqual({
      'outcome=recorded': 1,
      'outcome=gone': 1,
      'outcome=store_unavailable': 1,
    });
    expect((await metered.values('sweeps'))['outcome=ok']).toBeGreaterThanOrEqual(1);
    expect(await metered.values('swept')).toEqual({ '': 1 });
    expect(await metered.values('store.duration')).toMatchObject({
      'operation=create outcome=ok': 3,
      'operation=destroy outcome=ok': 2,
      'operation=touch outcome=ok': 2,
      'operation=touch outcome=store_unavailable': 1,
    });
  });

  it('counts look-ups of the near cache by what it keeps and whether it knew', async () => {
    const { store } = await open({ nearCache: true, telemetry: { meterProvider: metered.meterProvider } });
    const { id } = await store.create({ userId: 'ada' });
    store.peek(id);
    await store.read(id);
    store.peek(id);
    store.peek(id);
    expect(await metered.values('near_cache.lookups')).toEqual({
      'cache=session outcome=hit': 2,
      'cache=session outcome=miss': 1,
      'cache=session outcome=bypassed': 0,
      'cache=blacklist outcome=hit': 0,
      'cache=blacklist outcome=miss': 0,
      'cache=blacklist outcome=bypassed': 0,
    });
  });

  it('tells how many sessions live, and asks the store at most every ten seconds', async () => {
    const store = new CountingStore();
    const { sessions } = await open({ store, telemetry: { meterProvider: metered.meterProvider } });
    await sessions.start({ userId: 'ada' });
    const counts = (): number => store.commands.filter((command) => command === 'count').length;
    expect(await metered.values('active')).toEqual({ '': 1 });
    const asked = counts();
    await sessions.start({ userId: 'bob' });
    for (let times = 0; times < 5; times += 1) await metered.values('active');
    expect(counts()).toBe(asked);
    const clock = jest.spyOn(performance, 'now').mockReturnValue(performance.now() + 11_000);
    expect(await metered.values('active')).toEqual({ '': 2 });
    clock.mockRestore();
  });

  it('tells no number while the store is down, and one when it is back', async () => {
    const store = new CountingStore();
    await open({ store, telemetry: { meterProvider: metered.meterProvider } });
    store.down = true;
    expect(await metered.values('active')).toEqual({});
    store.down = false;
    expect(await metered.values('active')).toEqual({ '': 0 });
  });

  it('does not count what another instance did', async () => {
    const store = new MemorySessionStore();
    await open({ store, telemetry: { meterProvider: metered.meterProvider } });
    store.publish({ type: 'ended', at: 1, sessionId: 's'.repeat(32), userId: 'u', reason: 'idle', remote: true });
    expect(await metered.values('ended')).toEqual({});
  });

  it.each(PLATFORMS)('counts requests by the result for their credentials on %s', async (platform) => {
    const store = new CountingStore();
    const app = await startApp({
      platform,
      controllers: [AccountController],
      session: { store, telemetry: { meterProvider: metered.meterProvider } },
    });
    const browser = app.browser();
    await browser.get('/me');
    await browser.post('/login', { userId: 'ada' });
    await browser.get('/me');
    await browser.get('/public');
    await browser.get('/me', { cookie: '__Host-session=forged' });
    await browser.post('/note', {}, { 'sec-fetch-site': 'cross-site' });
    store.down = true;
    await browser.get('/me');
    expect(await metered.values('requests')).toEqual({
      'outcome=none': 1,
      'outcome=authenticated transport=cookie': 1,
      'outcome=invalid_token': 1,
      'outcome=csrf_rejected': 1,
      'outcome=store_unavailable': 1,
    });
  });

  it('makes a span around each operation of the store, without a word of Redis in it', async () => {
    const exporter = new InMemorySpanExporter();
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
    const store = new CountingStore();
    const { sessions, store: observed } = await open({ store, telemetry: { tracerProvider } });
    const { session } = await sessions.start({ userId: 'ada' });
    store.down = true;
    await expect(observed.get(session.id)).rejects.toThrow();
    const spans = exporter.getFinishedSpans().filter(({ name }) => !name.endsWith('sweep'));
    expect(spans.map(({ name, kind, status }) => [name, kind, status.code])).toEqual([
      ['session.store create', 2, 0],
      ['session.store get', 2, 2],
    ]);
    expect(spans[1]?.attributes).toEqual({ 'nestjs_sessions.operation': 'get', 'error.type': 'store_unavailable' });
    expect(JSON.stringify(spans.map(({ attributes, events, status }) => [attributes, events, status]))).not.toMatch(
      /ada|redis-7|ECONNREFUSED/,
    );
    await tracerProvider.shutdown();
  });

  it.each([
    [{ meterProvider: {} }, /telemetry\.meterProvider: must be a MeterProvider/],
    [{ meterProvidr: 1 }, /telemetry\.meterProvidr: there is no such option; did you mean "meterProvider"/],
    ['on', /telemetry: must be true, false or/],
  ])('refuses %j at boot', (telemetry, message) => {
    expect(() => resolveSessionOptions({ telemetry: telemetry as never })).toThrow(message);
  });
});

describe('ObservedSessionStore', () => {
  it('overrides every method that the port has a default for, so that none is answered without the store', () => {
    const defaults = Object.getOwnPropertyNames(SessionStore.prototype);
    expect(defaults).toEqual(expect.arrayContaining(['create', 'forTenant', 'aliases']));
    const own = [ObservedSessionStore, DelegatingSessionStore].flatMap((type) =>
      Object.getOwnPropertyNames(type.prototype),
    );
    expect(own).toEqual(expect.arrayContaining(defaults));
  });

  it('observes the store of another tenant too', async () => {
    const seen: string[] = [];
    const store = new ObservedSessionStore(new MemorySessionStore(), (operation, run) => {
      seen.push(operation);
      return run();
    });
    expect(store.forTenant('')).toBe(store);
    const other = store.forTenant('acme');
    expect([store.tenant, other.tenant]).toEqual(['', 'acme']);
    const { id } = await other.create({ userId: 'ada' });
    expect(await store.get(id)).toBeNull();
    expect(seen).toEqual(['create', 'get']);
    await store.close();
  });

  it('is a store, observes each operation once, and can be spied on', async () => {
    const seen: string[] = [];
    const inner = new MemorySessionStore();
    const store = new ObservedSessionStore(inner, (operation, run) => {
      seen.push(operation);
      return run();
    });
    expect(store).toBeInstanceOf(SessionStore);
    const heard: string[] = [];
    const stop = store.subscribe(({ type }) => heard.push(type));
    const { id } = await store.create({ userId: 'ada' });
    expect(await store.getActiveSessions('ada')).toHaveLength(1);
    expect(store.now()).toBeGreaterThan(0);
    await store.destroy(id);
    stop();
    expect(heard).toEqual(['created', 'ended']);
    // findByDevice asks getActiveSessions, which is the store's own affair.
    await store.findByDevice('ada', 'd');
    expect(seen).toEqual(['create', 'getActiveSessions', 'destroy', 'findByDevice']);
    expect(store.aliases()).toBe(inner.aliases());
    const spy = jest.spyOn(store, 'count');
    expect(await store.count()).toBe(0);
    expect(spy).toHaveBeenCalledTimes(1);
    spy.mockRestore();
    await store.count();
    expect(seen.filter((operation) => operation === 'count')).toHaveLength(2);
    await store.close();
  });
});
