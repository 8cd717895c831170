import type { Cluster, Redis } from 'ioredis';
import { StoreUnavailableError } from '../../model/errors.js';
import type { StoreWait } from '../../ports/store-wait.js';
import { UnprovenError } from './command-turn.js';
import type { RedisConnection } from './redis-connection.js';

/** Share of the remaining time that replicas have to confirm; the rest is for the round trip. */
const SHARE = 0.8;

/**
 * Writes that count once replicas have confirmed them. They use a connection of their own, each followed by `WAIT`,
 * because `WAIT` blocks its connection. Safe through any failover only if `minReplicas` is the number of all replicas.
 */
export class ReplicatedWrites {
  private connection: RedisConnection | null = null;
  private closed = false;

  constructor(
    private readonly main: RedisConnection,
    private readonly minReplicas: number,
    /** Called for each write that too few replicas confirmed. */
    private readonly onUnconfirmed: (confirmed: number) => void = () => undefined,
  ) {}

  /**
   * The answer to the command, once enough replicas have confirmed its writes.
   *
   * @param send sends the command with the client it receives; must be safe to repeat.
   * @throws {StoreUnavailableError} if too few replicas confirm in time: the write has happened on the primary, and a
   * failover may undo it. Repeating the call asks again.
   */
  async run<T>(slot: number, send: (client: Redis | Cluster) => Promise<T>, wait?: StoreWait): Promise<T> {
    if (this.closed) throw new StoreUnavailableError();
    this.connection ??= this.main.beside();
    const { client, trouble } = this.connection;
    const patience = Math.max(1, Math.floor(this.connection.timeLeft(wait) * SHARE));
    const [value, confirmed] = await this.connection.ask(
      async () => {
        const server = serverOf(client, slot);
        let writtenOver: unknown;
        const written = send(client).then((answer) => {
          writtenOver = server.stream;
          return answer;
        });
        // Sent right after the command, on the same connection.
        const answers = await Promise.all([written, server.wait(this.minReplicas, patience)]);
        // After a reconnect ioredis sends `WAIT` again, alone: another server would confirm a write that it never had.
        if (serverOf(client, slot) !== server || server.stream !== writtenOver) throw new UnprovenError();
        return answers;
      },
      undefined,
      slot,
      wait,
    );
    if (Number(confirmed) < this.minReplicas) {
      const detail = `${confirmed} of ${this.minReplicas} replicas confirmed an end or revocation in time`;
      trouble.say('replicas', `${detail}: a failover may undo it. Check the replication of Redis.`);
      this.onUnconfirmed(Number(confirmed));
      throw new StoreUnavailableError(
        'It is done, but too few replicas confirmed it in time: a failover may undo it. Try again until it succeeds.',
        { cause: new Error(detail) },
      );
    }
    return value;
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.connection?.close();
  }
}

/**
 * The script, with a write to its first key that changes nothing. `WAIT` waits for the writes of its own connection alone: a
 * script that finds a session ended by another one would be confirmed though no replica has that end.
 */
export function alwaysWriting(source: string): string {
  return `local answer = (function()
${source}
end)()
local left = redis.call('PTTL', KEYS[1])
if left > 0 then
  redis.call('PEXPIRE', KEYS[1], left)
end
return answer`;
}

function serverOf(client: Redis | Cluster, slot: number): Redis {
  if (!client.isCluster) return client as Redis;
  const cluster = client as Cluster;
  const name = cluster.slots[slot]?.[0];
  const node = cluster.nodes('master').find(({ options }) => `${options.host}:${options.port}` === name);
  if (!node) throw new Error('Connection is closed.');
  return node;
}
