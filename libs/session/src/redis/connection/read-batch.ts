import type { Cluster, Redis } from 'ioredis';
import { UnprovenError } from './command-turn.js';
import { isConnectionError } from './redis-trouble.js';

export type HashValues = (Buffer | null)[];

/** What one read was answered, and over which connection. */
interface ReadAnswer {
  readonly values: HashValues | null;
  readonly error: unknown;
  readonly stream: unknown;
}

interface PendingRead {
  readonly key: string;
  readonly fields: readonly string[];
  readonly resolve: (values: HashValues) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The HMGETs of one turn of the event loop. They leave with the turn, and are waited for, given up, repeated and proven as
 * one command.
 */
export class ReadBatch {
  private readonly reads: PendingRead[] = [];
  private answers: Promise<ReadAnswer>[] | null = null;
  private readonly isComplete: Promise<void>;
  /** Called when the turn is over: no read follows. */
  close: () => void = () => undefined;

  constructor(private readonly client: Redis) {
    this.isComplete = new Promise((resolve) => {
      this.close = resolve;
    });
  }

  add(key: string, fields: readonly string[]): Promise<HashValues> {
    return new Promise((resolve, reject) => {
      const read = { key, fields, resolve, reject };
      this.reads.push(read);
      this.answers?.push(this.send(read));
    });
  }

  /**
   * Sends what is there and what the turn still brings, and waits for all answers. Errors that Redis answered are among them.
   *
   * @throws what the client rejects with when the connection broke, also between two answers.
   */
  async run(): Promise<readonly ReadAnswer[]> {
    const sent = this.reads.map((read) => this.send(read));
    this.answers = sent;
    await this.isComplete;
    const answers = await Promise.all(sent);
    for (const { error, stream } of answers) {
      if (isConnectionError(error)) throw error;
      // What came before a break is not proven by what came after it.
      if (stream !== this.client.stream) throw new UnprovenError();
    }
    return answers;
  }

  /** Passes each answer to its caller. */
  settle(answers: readonly ReadAnswer[], refusal: (error: unknown) => unknown): void {
    this.reads.forEach(({ resolve, reject }, index) => {
      const { values = null, error } = answers[index] ?? {};
      if (values) resolve(values);
      else reject(refusal(error));
    });
  }

  fail(error: unknown): void {
    for (const { reject } of this.reads) reject(error);
  }

  private send({ key, fields }: PendingRead): Promise<ReadAnswer> {
    const { client } = this;
    return readHashOf(client, key, fields).then(
      (values) => ({ values, error: null, stream: client.stream }),
      (error: unknown) => ({ values: null, error, stream: client.stream }),
    );
  }
}

/**
 * The values of some fields.
 *
 * @throws {UnprovenError} if the answer has another length, and so is that of another command: replies no longer belong to
 *   their commands on this connection, so the client of a single server reconnects.
 */
export async function readHashOf(client: Redis | Cluster, key: string, fields: readonly string[]): Promise<HashValues> {
  const values = await client.hmgetBuffer(key, ...fields);
  // Only the number of values is checked, because this runs for every read of a session.
  if (Array.isArray(values) && values.length === fields.length) return values;
  if (!client.isCluster) client.disconnect(true);
  throw new UnprovenError();
}
