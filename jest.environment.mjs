import { AsyncLocalStorage } from 'node:async_hooks';
import { TestEnvironment as NodeEnvironment } from 'jest-environment-node';

/** @type {Set<AsyncLocalStorage<unknown>>} */
const inUse = new Set();

for (const method of /** @type {const} */ (['run', 'enterWith'])) {
  const original = AsyncLocalStorage.prototype[method];
  /** @this {AsyncLocalStorage<unknown>} */
  AsyncLocalStorage.prototype[method] = function (/** @type {Parameters<typeof original>} */ ...args) {
    inUse.add(this);
    return Reflect.apply(original, this, args);
  };
}

/**
 * Node's environment, which also disables every AsyncLocalStorage that a test file used.
 * jest-circus creates one per file and keeps it enabled, and until Node 24 each promise of the process pays for each of
 * them: the fiftieth file of a worker ran ten times slower than alone.
 */
export default class Environment extends NodeEnvironment {
  /** @override */
  async teardown() {
    for (const storage of inUse) storage.disable();
    inUse.clear();
    await super.teardown();
  }
}
