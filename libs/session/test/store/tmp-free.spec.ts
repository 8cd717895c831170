import { MemorySessionStore } from '../../src/memory/memory-session-store.js';
import { describeStoreModel } from '../support/describe-store-model.js';
describeStoreModel('MemorySessionStore by the system clock', async (options) => {
  let shift = 0;
  const store = new MemorySessionStore({ ...options, clock: () => Date.now() + shift });
  return { store, advance: async (ms) => { shift += ms; }, close: () => store.close() };
}, 300);
