import { NearCachedSessionStore } from '../../src/near-cache/near-cached-session-store.js';
import { DelegatingSessionStore } from '../../src/ports/delegating-session-store.js';
import type { ReadOptions, SessionSnapshot, SessionStore } from '../../src/ports/session-store.js';
import { describeSessionStore } from '../../src/store-contract/store-contract.js';
import type { StoreHarness } from '../../src/store-contract/store-harness.js';
import { createMemoryHarness } from '../support/memory-harness.js';
import { redisHarness } from '../support/redis-harness.js';

/** Reads as a request does: what the near cache knows, else the store. */
class NearReadingStore extends DelegatingSessionStore {
  forTenant(tenant: string): SessionStore {
    return new NearReadingStore(this.store.forTenant(tenant));
  }

  override async read(sessionId: string, options?: ReadOptions): Promise<SessionSnapshot> {
    const known = this.peek(sessionId, options);
    if (!known) return super.read(sessionId, options);
    const { cached: _, ...live } = known;
    return live;
  }
}

/** One instance, as two may differ for a moment. It must obey the contract as if it had no cache. */
async function nearHarness(harness: StoreHarness): Promise<StoreHarness> {
  const cached = NearCachedSessionStore.around(harness.store, { maxEntries: 1_000, maxStale: 60_000 });
  const store = new NearReadingStore(cached);
  return {
    ...harness,
    store,
    openSecond: async () => store,
    corrupt: async (sessionId, how) => {
      await harness.corrupt?.(sessionId, how);
      // What else reaches into the store tells nobody: `maxStale` is for that.
      cached.stop();
    },
    close: async () => {
      cached.stop();
      await harness.close();
    },
  };
}

describeSessionStore('MemorySessionStore behind a near cache', async (options) =>
  nearHarness(await createMemoryHarness(options)),
);
describeSessionStore('RedisSessionStore behind a near cache', async (options) =>
  nearHarness(await redisHarness(options)),
);
