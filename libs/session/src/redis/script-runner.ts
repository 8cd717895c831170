import type { Cluster, Redis } from 'ioredis';
import { StoreUnavailableError } from '../model/errors.js';
import { StoreWait } from '../ports/store-wait.js';
import type { UserKeys } from './keys.js';
import type { scripts } from './lua/scripts.generated.js';
import { STEP_ALLOWANCE } from './connection/redis-clock.js';
import { alwaysWriting, type ReplicatedWrites } from './connection/replicated-writes.js';
import type { RedisConnection } from './connection/redis-connection.js';

export type ScriptName = keyof typeof scripts;

/** Stands for the instant at which the script is sent: the latest possible one by the server's clock. */
export const SENT_AT = Symbol('sent at');

export type ScriptArgument = string | number | Buffer;

/** A script's answer: its code, and the values that follow. */
export interface ScriptReply {
  readonly code: string;
  readonly values: readonly (Buffer | number | null)[];
}

export interface ScriptRunnerSettings {
  readonly channel: string;
  /** Names this instance on the channel. */
  readonly origin: string;
  /** How long ended sessions are remembered, ms. */
  readonly tombstoneTtl: number;
  /** Ms added to the servers' time. 0 outside tests. */
  readonly timeShift: () => number;
  /** The stream that keeps events for consumers, its maximum length and retention in ms; null for none. */
  readonly stream: { keyOf: (keys: UserKeys) => string; maxLength: number; retention: number } | null;
  /** Path for writes that replicas must confirm before they count; null if none must. */
  readonly replicated: ReplicatedWrites | null;
  /** Receives the announcements of a script as soon as its answer arrives. */
  readonly onAnnounced: (messages: readonly string[]) => void;
}

/** The announcements, if any, then the code and the values. */
type RawReply = (Buffer[] | Buffer | number | null)[];

/** Sends scripts by digest, or in full if a server has forgotten them, with the arguments common to all scripts. */
export class ScriptRunner {
  constructor(
    private readonly connection: RedisConnection,
    private readonly settings: ScriptRunnerSettings,
  ) {}

  /**
   * One script on a user's keys, one round trip.
   *
   * @param wait what the caller has waited so far, which shortens the command timeout.
   * @throws {StoreUnavailableError} if it did not run, or may have run without an answer; it has no effect after the
   * timeout.
   * @throws {ForeignKeyError} if one of the keys holds another type; nothing has changed then.
   */
  async run(
    script: (typeof scripts)[ScriptName],
    keys: UserKeys,
    args: readonly (ScriptArgument | typeof SENT_AT)[],
    wait = new StoreWait(),
  ): Promise<ScriptReply> {
    return wait.during(() => this.runWithin(wait, script, keys, args));
  }

  private async runWithin(
    wait: StoreWait,
    script: (typeof scripts)[ScriptName],
    keys: UserKeys,
    args: readonly (ScriptArgument | typeof SENT_AT)[],
  ): Promise<ScriptReply> {
    let reply = await this.attempt(wait, script, keys, args);
    if (reply.code === 'late') {
      // The command was delayed, or the server's clock has leapt: with the clock read again, the second try decides.
      await this.connection.sampleClocks(wait);
      reply = await this.attempt(wait, script, keys, args);
      if (reply.code === 'late') throw new StoreUnavailableError();
    }
    if (reply.code === 'wrongtype')
      throw this.connection.trouble.foreignKey(`The key ${keys.user} or ${keys.expiries}`);
    return reply;
  }

  private async attempt(
    wait: StoreWait,
    script: (typeof scripts)[ScriptName],
    keys: UserKeys,
    args: readonly (ScriptArgument | typeof SENT_AT)[],
  ): Promise<ScriptReply> {
    const { channel, origin, tombstoneTtl, timeShift, stream, onAnnounced } = this.settings;
    const clock = await this.connection.clockFor(keys.slot, wait);
    const shift = timeShift();
    const sentAt = clock.upperBound() + STEP_ALLOWANCE + shift;
    // No later than the caller's timeout: nothing may change after it.
    const notAfter = clock.lowerBound() + shift + Math.floor(this.connection.timeLeft(wait));
    const own = args.map((argument) => (argument === SENT_AT ? sentAt : argument));
    const remembered = stream ? `${tombstoneTtl},${stream.maxLength},${stream.retention}` : tombstoneTtl;
    const all = [channel, origin, shift, notAfter, remembered, ...own, keys.tenant];
    const declared = [keys.user, keys.expiries, ...(stream ? [stream.keyOf(keys)] : [])];
    const raw = (await this.send(script, declared, all, keys.slot, wait)) as RawReply;
    const [announced, [code, ...values]] = Array.isArray(raw[0]) ? [raw[0], raw.slice(1)] : [[], raw];
    if (announced.length > 0) onAnnounced(announced.map((message) => message.toString('utf8')));
    return { code: String(code), values: values as (Buffer | number | null)[] };
  }

  private async send(
    script: (typeof scripts)[ScriptName],
    keys: readonly string[],
    args: readonly ScriptArgument[],
    slot: number,
    wait: StoreWait,
  ): Promise<unknown> {
    const { replicated } = this.settings;
    if (replicated && ENDS.has(script.name)) {
      // In full: if the server had to ask for the script, WAIT would come before it.
      return replicated.run(
        slot,
        async (client) =>
          (client as unknown as ScriptCommands).evalBuffer(alwaysWriting(script.source), keys.length, ...keys, ...args),
        wait,
      );
    }
    return this.connection.ask(
      async () => {
        const reply = evaluate(this.connection.client, script, keys, args);
        // Sent with the script: its answer reveals a leap of the server's clock.
        this.connection.readClock(slot);
        return reply;
      },
      undefined,
      slot,
      wait,
    );
  }
}

/** Scripts that take something from a holder: a failover that undoes them would give it back. */
const ENDS: ReadonlySet<string> = new Set<ScriptName>([
  'endSessions',
  'regenerateSession',
  'revokeToken',
  'revokeTokens',
]);

/**
 * Methods that ioredis has for every command, but does not type for these two. Not `callBuffer`: with automatic
 * pipelining it loses the command's name.
 */
interface ScriptCommands {
  evalshaBuffer(digest: string, keyCount: number, ...rest: ScriptArgument[]): Promise<unknown>;
  evalBuffer(source: string, keyCount: number, ...rest: ScriptArgument[]): Promise<unknown>;
}

/** Runs a script by its digest, or in full if the server has forgotten it. */
export async function evaluate(
  client: Redis | Cluster,
  script: (typeof scripts)[ScriptName],
  keys: readonly string[],
  args: readonly ScriptArgument[],
): Promise<unknown> {
  const commands = client as unknown as ScriptCommands;
  try {
    return await commands.evalshaBuffer(script.sha1, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return commands.evalBuffer(script.source, keys.length, ...keys, ...args);
  }
}
