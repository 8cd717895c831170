import type { SessionStore } from '../ports/session-store.js';

/** What is asked of a store, as far as it goes out of the process. */
export const STORE_OPERATIONS = [
  'create',
  'read',
  'get',
  'getActiveSessions',
  'findByDevice',
  'touch',
  'update',
  'updateUser',
  'rotate',
  'renew',
  'destroy',
  'destroyAll',
  'destroyEverybody',
  'revokeToken',
  'revokeTokens',
  'count',
  'sweep',
] as const satisfies readonly (keyof SessionStore)[];

export type StoreOperation = (typeof STORE_OPERATIONS)[number];

/** Sees an operation from beginning to end, and hands on what it comes to. */
export type StoreObserver = (operation: StoreOperation, run: () => Promise<unknown>) => Promise<unknown>;

/** The same store, each of its operations seen by the observer. It is of the same class still. */
export function observedStore(store: SessionStore, observer: StoreObserver): SessionStore {
  const methods = new Map<PropertyKey, unknown>();
  for (const operation of STORE_OPERATIONS) {
    // A store of somebody's own may lack what they do not use.
    const method = store[operation]?.bind(store) as ((...args: unknown[]) => Promise<unknown>) | undefined;
    if (!method) continue;
    methods.set(operation, (...args: unknown[]) => observer(operation, () => method(...args)));
  }
  return new Proxy(store, {
    get(target, key) {
      const known = methods.get(key);
      if (known !== undefined) return known;
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function' || key === 'constructor') return value;
      // What the store asks of itself goes past the observer.
      const bound: unknown = value.bind(target);
      methods.set(key, bound);
      return bound;
    },
  });
}
