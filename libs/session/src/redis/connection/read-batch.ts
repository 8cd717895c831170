import type { Cluster, Redis } from 'ioredis';
import { UnprovenError } from './command-turn.js';
import { isConnectionError } from './redis-trouble.js';

export type HashValues = (Buffer | null)[];

/** What one read was answered, and over which connection. */
interface ReadAnswer {
  values: HashValues | null;
  error: unknown;
  stream: unknown;
}

/** A class, because its promise leads to the request that waits for it: see `Kept` in request-slot.ts. */
class PendingRead {
  constructor(
    readonly key: string,
    readonly fields: readonly string[],
    readonly resolve: (values: HashValues) => void,
    readonly reject: (error: unknown) => void,
  ) {}
}

/**
 * The HMGETs of one turn of the event loop. They leave with the turn, and are waited for, given up, repeated and proven as
 * one command.
 */
export class ReadBatch {
  private readonly reads: PendingRead[] = [];
  private attempt: SentReads | null = null;
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
      const read = new PendingRead(key, fields, resolve, reject);
      this.reads.push(read);
      this.attempt?.send(read);
    });
  }

  /**
   * Sends what is there and what the turn still brings, and waits for all answers. Errors that Redis answered are among them.
   *
   * @throws what the client rejects with when the connection broke, also between two answers.
   */
  async run(): Promise<readonly ReadAnswer[]> {
    // Answers to an earlier attempt no longer count.
    const attempt = new SentReads(this.client);
    this.attempt = attempt;
    for (const read of this.reads) attempt.send(read);
    await this.isComplete;
    const answers = await attempt.answered();
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
}

/** Reads that were sent, and their answers in the same order. Counts them, as a promise for each would cost more than its read. */
class SentReads {
  private readonly answers: ReadAnswer[] = [];
  private open = 0;
  private onAll: (() => void) | null = null;

  constructor(private readonly client: Redis) {}

  send({ key, fields }: PendingRead): void {
    const answer: ReadAnswer = { values: null, error: null, stream: null };
    this.answers.push(answer);
    this.open += 1;
    this.client.hmgetBuffer(key, ...fields).then(
      (values) => {
        if (isAnswerTo(fields, values)) answer.values = values;
        else answer.error = distrust(this.client);
        this.note(answer);
      },
      (error: unknown) => {
        answer.error = error;
        this.note(answer);
      },
    );
  }

  /** Resolves once each read has its answer. */
  async answered(): Promise<readonly ReadAnswer[]> {
    if (this.open > 0) await new Promise<void>((resolve) => (this.onAll = resolve));
    return this.answers;
  }

  private note(answer: ReadAnswer): void {
    answer.stream = this.client.stream;
    this.open -= 1;
    if (this.open === 0) this.onAll?.();
  }
}

/**
 * The values of some fields.
 *
 * @throws {UnprovenError} if the answer is that of another command.
 */
export async function readHashOf(client: Redis | Cluster, key: string, fields: readonly string[]): Promise<HashValues> {
  const values = await client.hmgetBuffer(key, ...fields);
  if (isAnswerTo(fields, values)) return values;
  throw distrust(client);
}

/** Only the number of values is compared, because this runs for every read of a session. */
function isAnswerTo(fields: readonly string[], values: unknown): boolean {
  return Array.isArray(values) && values.length === fields.length;
}

/** Replies no longer belong to their commands on this connection, so the client of a single server reconnects. */
function distrust(client: Redis | Cluster): UnprovenError {
  if (!client.isCluster) client.disconnect(true);
  return new UnprovenError();
}
