import { describeBinding } from './contract/binding.js';
import { describeCreateAgain } from './contract/create-again.js';
import { describeCreate } from './contract/create.js';
import { describeDamage } from './contract/damage.js';
import { describeData } from './contract/data.js';
import { describeDeadlines } from './contract/deadlines.js';
import { describeDestroy } from './contract/destroy.js';
import { describeDevices } from './contract/devices.js';
import { describeEvents } from './contract/events.js';
import { describeLimits } from './contract/limits.js';
import { describePending } from './contract/pending.js';
import { describeRead } from './contract/read.js';
import { describeRegenerate } from './contract/regenerate.js';
import { describeBranches } from './contract/branches.js';
import { describeRotate } from './contract/rotate.js';
import { describeScan } from './contract/scan.js';
import { describeSignInsUnderWay } from './contract/sign-ins-under-way.js';
import { describeSpentProofs } from './contract/spent-proofs.js';
import { describeSweep } from './contract/sweep.js';
import { describeTokens } from './contract/tokens.js';
import { describeUpdate } from './contract/update.js';
import { describeUpdateUser } from './contract/update-user.js';
import { describeUserIds } from './contract/user-ids.js';
import type { CreateStoreHarness } from './store-harness.js';
import { storeOpener } from './test-bed.js';
import { describe } from './test-api.js';

/**
 * The specification of a `SessionStore`, as tests: what the port promises, held against any adapter. Runs under jest, and
 * under vitest with `globals: true`; moves time through the harness and never sleeps.
 *
 * @example
 * ```ts
 * import { MemorySessionStore } from 'nestjs-sessions';
 * import { describeSessionStore } from 'nestjs-sessions/store-contract';
 *
 * describeSessionStore('MemorySessionStore', async (options) => {
 *   let time = Date.now();
 *   const store = new MemorySessionStore({ ...options, clock: () => time });
 *   return {
 *     store,
 *     exactTime: true,
 *     advance: async (ms) => {
 *       time += ms;
 *     },
 *     close: () => store.close(),
 *   };
 * });
 * ```
 */
export function describeSessionStore(name: string, createHarness: CreateStoreHarness): void {
  describe(`${name} keeps the contract of SessionStore`, () => {
    const open = storeOpener(createHarness);
    describeCreate(open);
    describeCreateAgain(open);
    describeData(open);
    describeLimits(open);
    describePending(open);
    describeDevices(open);
    describeDeadlines(open);
    describeRead(open);
    describeUpdate(open);
    describeUpdateUser(open);
    describeRotate(open);
    describeBranches(open);
    describeRegenerate(open);
    describeBinding(open);
    describeDestroy(open);
    describeSignInsUnderWay(open);
    describeTokens(open);
    describeEvents(open);
    describeScan(open);
    describeSpentProofs(open);
    describeSweep(open);
    describeUserIds(open);
    describeDamage(open);
  });
}
