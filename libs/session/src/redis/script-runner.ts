import type { Cluster, Redis } from 'ioredis';
import { StoreUnavailableError } from '../model/errors.js';
import type { UserKeys } from './keys.js';
import type { scripts } from './lua/scripts.generated.js';
import { STEP_ALLOWANCE } from './redis-clock.js';
import type { RedisConnection } from './redis-connection.js';

export type ScriptName = keyof typeof scripts;

/** Stands for the instant at which the script is sent, by the server's clock, at the latest. */
export const SENT_AT = Symbol('sent at');

export type ScriptArgument = string | number | Buffer;

/** A script's answer: the code it begins with, and what follows. */
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
  /** Ms added to the servers' time. Not 0 in tests alone. */
  readonly timeShift: () => number;
  /** Where events are also kept for consumers, and how much of them for how many ms; null for nowhere. */
  readonly stream: { keyOf: (keys: UserKeys) => string; maxLength: number; retention: number } | null;
  /** Takes what a script announced, as soon as its answer is there. */
  readonly onAnnounced: (messages: readonly string[]) => void;
}

/** The announcements, where there are some, then the code and the values. */
type RawReply = (Buffer[] | Buffer | number | null)[];

/** Sends scripts by digest, and whole where a server has forgotten them; adds what every script wants to know. */
export class ScriptRunner {
  constructor(
    private readonly connection: RedisConnection,
    private readonly settings: ScriptRunnerSettings,
  ) {}

  /**
   * One script on a user's keys, one round trip.
   *
   * @throws {StoreUnavailableError} when it did not run, or may have run unanswered; it is then without effect from
   * the command timeout on.
   * @throws {ForeignKeyError} when one of the keys holds something else; nothing has happened then.
   */
  async run(
    script: (typeof scripts)[ScriptName],
    keys: UserKeys,
    args: readonly (ScriptArgument | typeof SENT_AT)[],
  ): Promise<ScriptReply> {
    let reply = await this.attempt(script, keys, args);
    if (reply.code === 'late') {
      // Either the command was held up, or the server's clock has leapt: with the clock read anew, the second try tells.
      await this.connection.sampleClocks();
      reply = await this.attempt(script, keys, args);
      if (reply.code === 'late') throw new StoreUnavailableError();
    }
    if (reply.code === 'wrongtype')
      throw this.connection.trouble.foreignKey(`The key ${keys.user} or ${keys.expiries}`);
    return reply;
  }

  private async attempt(
    script: (typeof scripts)[ScriptName],
    keys: UserKeys,
    args: readonly (ScriptArgument | typeof SENT_AT)[],
  ): Promise<ScriptReply> {
    const { channel, origin, tombstoneTtl, timeShift, stream, onAnnounced } = this.settings;
    const clock = await this.connection.clockFor(keys.slot);
    const shift = timeShift();
    const sentAt = clock.upperBound() + STEP_ALLOWANCE + shift;
    // Not a moment later than the caller gives up: from then on nothing may change any more.
    const notAfter = clock.lowerBound() + shift + this.connection.settings.commandTimeout;
    const own = args.map((argument) => (argument === SENT_AT ? sentAt : argument));
    const remembered = stream ? `${tombstoneTtl},${stream.maxLength},${stream.retention}` : tombstoneTtl;
    const all = [channel, origin, shift, notAfter, remembered, ...own];
    const declared = [keys.user, keys.expiries, ...(stream ? [stream.keyOf(keys)] : [])];
    const { client } = this.connection;
    const raw = (await this.connection.ask(async () => evaluate(client, script, declared, all))) as RawReply;
    const [announced, [code, ...values]] = Array.isArray(raw[0]) ? [raw[0], raw.slice(1)] : [[], raw];
    if (announced.length > 0) onAnnounced(announced.map((message) => message.toString('utf8')));
    return { code: String(code), values: values as (Buffer | number | null)[] };
  }
}

/**
 * What ioredis has for every command but does not type for these two. Not `callBuffer`: where a client gathers commands to
 * pipelines by itself, that loses the command's name.
 */
interface ScriptCommands {
  evalshaBuffer(digest: string, keyCount: number, ...rest: ScriptArgument[]): Promise<unknown>;
  evalBuffer(source: string, keyCount: number, ...rest: ScriptArgument[]): Promise<unknown>;
}

/** Runs a script by its digest, or whole where the server has forgotten it. */
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
