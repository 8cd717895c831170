import { MemorySessionStore } from '../../src/memory/memory-session-store.js';
import { sidOf, userKeyOfSession } from '../../src/model/ids.js';
import type { SessionStoreOptions } from '../../src/options/store-options.js';
import type { StoreDamage, StoreHarness } from '../../src/store-contract/store-harness.js';

/** What the tests look at from outside: the store's own maps. */
export interface MemoryInsides {
  readonly users: Map<
    string,
    { readonly sessions: Map<string, { record: string }>; readonly revoked: Map<string, number> }
  >;
}

export function insidesOf(store: MemorySessionStore): MemoryInsides {
  return store as unknown as MemoryInsides;
}

/** A memory store whose time stands still until it is moved. */
export async function createMemoryHarness(
  options: SessionStoreOptions = {},
): Promise<StoreHarness & { readonly store: MemorySessionStore }> {
  let time = Date.UTC(2030, 0, 1);
  const store = new MemorySessionStore({ ...options, clock: () => time });
  return {
    store,
    exactTime: true,
    advance: async (ms) => {
      time += ms;
    },
    openSecond: async () => store,
    corrupt: async (sessionId, how) => {
      const stored = insidesOf(store).users.get(userKeyOfSession(sessionId))?.sessions.get(sidOf(sessionId));
      if (!stored) throw new Error(`no session ${sessionId} to damage`);
      stored.record = damagedRecord(stored.record, how);
    },
    close: () => store.close(),
  };
}

/** The text of a record after the damage. */
export function damagedRecord(record: string, how: StoreDamage): string {
  switch (how) {
    case 'not-json':
      return record.slice(0, -1);
    case 'null':
      return 'null';
    case 'number':
      return '5';
    case 'array':
      return `[${record}]`;
    case 'missing-fields':
      return '{"v":1}';
    case 'newer-version':
      return JSON.stringify({ ...(JSON.parse(record) as object), v: 2, brandNew: true });
  }
}
