import { SessionExpressStore, type SessionExpressStoreOptions } from '../../../../src/frameworks/express/index.js';
import type { SessionStoreOptions } from '../../../../src/options/store-options.js';
import type { StoreHarness } from '../../../../src/store-contract/store-harness.js';
import { createMemoryHarness } from '../../../support/memory-harness.js';
import { redisHarness } from '../../../support/redis-harness.js';

export const BACKENDS = ['memory', 'redis'] as const;
export type Backend = (typeof BACKENDS)[number];

const open: StoreHarness[] = [];
const frameworkStores: { close(): Promise<void> }[] = [];

/** An empty store of the kind, closed after the test by `closeBackends`. */
export async function openBackend(backend: Backend, options: SessionStoreOptions = {}): Promise<StoreHarness> {
  const harness = await (backend === 'memory' ? createMemoryHarness(options) : redisHarness(options));
  open.push(harness);
  return harness;
}

/** Another instance over the same data. */
export async function openSecond(harness: StoreHarness) {
  return (await harness.openSecond?.()) ?? harness.store;
}

/** Has `closeBackends` close a framework's store, before the backend under it. */
export function closedAfterTest<T extends { close(): Promise<void> }>(store: T): T {
  frameworkStores.push(store);
  return store;
}

/** A store for express-session, closed after the test by `closeBackends`. */
export function openExpressStore(options: SessionExpressStoreOptions): SessionExpressStore {
  return closedAfterTest(new SessionExpressStore(options));
}

/** For `afterEach`. */
export async function closeBackends(): Promise<void> {
  await Promise.all(frameworkStores.splice(0).map((store) => store.close()));
  await Promise.all(open.splice(0).map((harness) => harness.close()));
}
