import {
  Module,
  type DynamicModule,
  type INestApplication,
  type LoggerService,
  type ModuleMetadata,
} from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { ExpressAdapter } from '@nestjs/platform-express';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import { SessionModule, type SessionModuleOptions } from '../../src/index.js';
import { Browser } from './browser.js';
import { CountingStore } from './counting-store.js';

export const PLATFORMS = ['express', 'fastify'] as const;
export type Platform = (typeof PLATFORMS)[number];

export interface AppOptions extends ModuleMetadata {
  platform: Platform;
  session?: SessionModuleOptions;
  /** Instead of `session`. */
  module?: DynamicModule;
  trustProxy?: boolean;
  override?: (builder: TestingModuleBuilder) => unknown;
  configure?: (app: INestApplication) => unknown;
  /** Default: logs are dropped. */
  logger?: LoggerService;
}

const running: TestApp[] = [];

/** For `afterEach`: closes what the test started and did not close itself. */
export async function closeApps(): Promise<void> {
  await Promise.all(running.splice(0).map((app) => app.close()));
}

export interface TestApp {
  readonly app: INestApplication;
  readonly url: string;
  readonly store: CountingStore;
  browser(): Browser;
  close(): Promise<void>;
}

/** Serves the controllers on a free port of this machine, with sessions in a store that counts. */
export async function startApp(options: AppOptions): Promise<TestApp> {
  const { platform, session = {}, module, trustProxy = false, override, configure, logger, ...metadata } = options;
  const store = (session.store as CountingStore | undefined) ?? new CountingStore();

  @Module({
    ...metadata,
    imports: [module ?? SessionModule.forRoot({ store, ...session }), ...(metadata.imports ?? [])],
  })
  class TestModule {}

  const builder = Test.createTestingModule({ imports: [TestModule] });
  override?.(builder);
  const compiled = await builder.compile();
  const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter({ trustProxy });
  const app = compiled.createNestApplication<INestApplication>(adapter, { logger: logger ?? false });
  if (platform === 'express' && trustProxy) (adapter as ExpressAdapter).set('trust proxy', true);
  await configure?.(app);
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const started: TestApp = { app, url, store, browser: () => new Browser(url), close: () => app.close() };
  running.push(started);
  return started;
}
