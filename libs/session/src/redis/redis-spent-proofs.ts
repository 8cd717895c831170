import { randomBytes } from 'node:crypto';
import { SpentProofs } from '../ports/spent-proofs.js';
import type { StoreWait } from '../ports/store-wait.js';
import type { RedisConnection } from './connection/redis-connection.js';
import { keySlot } from './key-slot.js';
import type { RedisKeys } from './keys.js';

/**
 * Spent proofs on Redis, beside a `RedisSessionStore`. `docs/redis.md` has the name of the key.
 *
 * A proof is one `SET … PX … NX`. Its value names the call: ioredis sends commands again after a reconnect, and a mark that this
 * call itself left is no replay. One GET more tells, for a proof that is refused.
 */
export class RedisSpentProofs extends SpentProofs {
  private readonly origin = randomBytes(9).toString('base64url');
  private count = 0;

  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: RedisKeys,
  ) {
    super();
  }

  async spend(digest: string, lifetime: number, wait?: StoreWait): Promise<boolean> {
    const key = this.keys.spentProof(digest);
    const { client } = this.connection;
    const { keyPrefix = '' } = client.options as { keyPrefix?: string };
    const slot = client.isCluster ? keySlot(keyPrefix + key) : undefined;
    this.count += 1;
    const mark = `${this.origin}.${this.count.toString(36)}`;
    const set = await this.connection.ask(
      async () => client.set(key, mark, 'PX', Math.max(1, Math.ceil(lifetime)), 'NX'),
      undefined,
      slot,
      wait,
    );
    if (set !== null) return true;
    return (await this.connection.ask(async () => client.get(key), undefined, slot, wait)) === mark;
  }
}
