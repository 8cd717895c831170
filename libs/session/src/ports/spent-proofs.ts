import type { StoreWait } from './store-wait.js';

/**
 * The port that remembers proofs of possession for as long as they could be presented again.
 *
 * Rules for every adapter: of many calls with one digest, in all processes that share the store, one is answered `true` until the
 * lifetime has passed. A repeat of the same call by the adapter itself counts once. Rejects with `StoreUnavailableError` if the
 * store does not answer.
 */
export abstract class SpentProofs {
  /**
   * Whether this is the first time. The only write that a proof costs.
   *
   * @param lifetime How long it is remembered, ms.
   * @param wait What earlier calls for the same request have waited. Default: nothing yet.
   */
  abstract spend(digest: string, lifetime: number, wait?: StoreWait): Promise<boolean>;
}
