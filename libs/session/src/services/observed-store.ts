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

/** The same store, each of its operations seen by the observer. It is of the same class still, and can be spied upon. */
export function observedStore(store: SessionStore, observer: StoreObserver): SessionStore {
  const observed = new Map<PropertyKey, unknown>();
  for (const operation of STORE_OPERATIONS) {
    // A store of somebody's own may lack what they do not use.
    const method = store[operation]?.bind(store) as ((...args: unknown[]) => Promise<unknown>) | undefined;
    if (method) observed.set(operation, (...args: unknown[]) => observer(operation, () => method(...args)));
  }
  const replaced = new Map<PropertyKey, unknown>();
  const bound = new Map<PropertyKey, { readonly of: unknown; readonly method: unknown }>();
  return new Proxy(store, {
    get(target, key) {
      if (replaced.has(key)) return replaced.get(key);
      if (observed.has(key)) return observed.get(key);
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function' || key === 'constructor') return value;
      // What the store asks of itself goes past the observer.
      const known = bound.get(key);
      if (known?.of === value) return known.method;
      const method: unknown = value.bind(target);
      bound.set(key, { of: value, method });
      return method;
    },
    set(target, key, value) {
      if (!observed.has(key)) return Reflect.set(target, key, value, target);
      replaced.set(key, value);
      return true;
    },
    deleteProperty(target, key) {
      return replaced.delete(key) || Reflect.deleteProperty(target, key);
    },
  });
}
