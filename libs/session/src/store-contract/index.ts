export { describeSessionStore } from './store-contract.js';
export type { CreateStoreHarness, StoreDamage, StoreHarness } from './store-harness.js';
