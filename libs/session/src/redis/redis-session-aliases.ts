import type { LegacySessions } from '../ports/legacy-sessions.js';
import { isSessionId } from '../model/ids.js';
import { ConfigurationError, StoreUnavailableError } from '../model/errors.js';
import { SessionAliases, type AliasState, type PointRequest } from '../ports/session-aliases.js';
import type { RedisKeys } from './keys.js';
import { scripts } from './lua/scripts.generated.js';
import type { RedisConnection } from './connection/redis-connection.js';
import { RedisLegacySessions } from './redis-legacy-sessions.js';
import { scanKeys } from './scan-keys.js';
import { evaluate, type ScriptArgument, type ScriptName } from './script-runner.js';

/** Number of keys per step of SCAN. */
const BATCH = 100;

/**
 * Aliases on Redis, beside a `RedisSessionStore`.
 *
 * An alias is a string: a session id, with a leading `-` if it has ended. It has a slot of its own and outlives the
 * session by a while. `docs/redis.md` has its name.
 *
 * A look-up is one GET, every write one script of `lua/`.
 */
export class RedisSessionAliases extends SessionAliases {
  constructor(
    private readonly connection: RedisConnection,
    private readonly keys: RedisKeys,
  ) {
    super();
  }

  async find(digest: string): Promise<AliasState> {
    const key = this.keys.alias(digest);
    return stateOf(await this.connection.ask(async () => this.connection.client.get(key)));
  }

  async point(digest: string, { from, to, lifetime }: PointRequest): Promise<AliasState> {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await this.connection.clockFor(0);
      const notAfter = this.connection.now() + this.connection.settings.commandTimeout + 1;
      const reply = await this.run('pointAlias', digest, [notAfter, from ?? '', to, lifetime]);
      if (reply !== 'late') return reply;
      // The command was delayed, or the server's clock has leapt: with the clock read again, the second try decides.
      await this.connection.sampleClocks();
    }
    throw new StoreUnavailableError();
  }

  async keep(digest: string, sessionId: string, lifetime: number): Promise<AliasState> {
    return this.settled('keepAlias', digest, [sessionId, lifetime]);
  }

  async end(digest: string, lifetime: number): Promise<AliasState> {
    return this.settled('endAlias', digest, [lifetime]);
  }

  async *list({ batch = BATCH }: { batch?: number } = {}): AsyncGenerator<
    readonly { digest: string; sessionId: string }[]
  > {
    for await (const found of scanKeys(this.connection, this.keys.alias(''), batch)) {
      // Without a tenant, the keys of tenants have the same prefix.
      const digests = found.filter((digest) => !digest.includes(':'));
      const states = await Promise.all(digests.map((digest) => this.find(digest)));
      yield digests.flatMap((digest, index) => {
        const found = states[index];
        return found?.state === 'session' ? [{ digest, sessionId: found.sessionId }] : [];
      });
    }
  }

  /** @throws {ConfigurationError} if the prefix and the keys of this library overlap: `clear` would delete both. */
  override legacySessions(prefix: string): LegacySessions {
    if (this.keys.overlaps(prefix)) {
      throw new ConfigurationError(
        `prefix: ${JSON.stringify(prefix)} also matches keys of this library, which clear() would delete. Set keyPrefix so that neither begins with the other, or prefix: false if connect-redis left no sessions here.`,
      );
    }
    return new RedisLegacySessions(this.connection, prefix);
  }

  private async settled(script: ScriptName, digest: string, args: readonly ScriptArgument[]): Promise<AliasState> {
    const reply = await this.run(script, digest, args);
    if (reply === 'late') throw new StoreUnavailableError();
    return reply;
  }

  private async run(script: ScriptName, digest: string, args: readonly ScriptArgument[]): Promise<AliasState | 'late'> {
    const key = this.keys.alias(digest);
    const reply = await this.connection.ask(async () => evaluate(this.connection.client, scripts[script], [key], args));
    const [code, stands] = reply as [Buffer, Buffer?];
    return code.toString('latin1') === 'late' ? 'late' : stateOf(stands?.toString('latin1') ?? '');
  }
}

/** Anything but a session id is a mark: an unreadable value must let nobody in and must not be overwritten. */
function stateOf(value: string | null): AliasState {
  if (value === null || value === '') return { state: 'absent' };
  const named = value.slice(1);
  if (isSessionId(value)) return { state: 'session', sessionId: value };
  return { state: 'ended', sessionId: isSessionId(named) ? named : null };
}
