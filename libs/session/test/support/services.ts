import { createSessionCore, type SessionCore } from '../../src/core/session-core.js';
import { resolveSessionOptions } from '../../src/options/resolve-options.js';
import type { SessionModuleOptions } from '../../src/options/session-module-options.js';
import { CountingStore } from './counting-store.js';

export interface Services extends Omit<SessionCore, 'store'> {
  readonly store: CountingStore;
}

/** The services as the module builds them, without Nest. */
export async function servicesOf(options: SessionModuleOptions = {}): Promise<Services> {
  const store = (options.store as CountingStore | undefined) ?? new CountingStore();
  return { ...(await createSessionCore(resolveSessionOptions(options), { store })), store };
}
