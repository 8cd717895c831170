import type { LegacySessions } from '../ports/legacy-sessions.js';
import { isSessionId } from '../model/ids.js';
import { StoreUnavailableError } from '../model/errors.js';
import { SessionAliases, type AliasState, type PointRequest } from '../ports/session-aliases.js';
import type { RedisKeys } from './keys.js';
import { scripts } from './lua/scripts.generated.js';
import type { RedisConnection } from './redis-connection.js';
import { RedisLegacySessions } from './redis-legacy-sessions.js';
import { scanKeys } from './scan-keys.js';
import { evaluate, type ScriptArgument, type ScriptName } from './script-runner.js';

/** How many keys a SCAN looks at in one step. */
const BATCH = 100;

/**
 * Aliases on Redis, beside a `RedisSessionStore`.
 *
 * | key | type | what |
 * |---|---|---|
 * | `{prefix}alias:<digest>` | string | a session id, with a `-` before it where it was ended; in a slot of its own, and there for a while longer than the session |
 *
 * Finding is one GET, every write one script of `lua/`.
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
      // Held up on the way, or the server's clock has leapt: with the clock read anew, the second try tells.
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
    for await (const digests of scanKeys(this.connection, this.keys.alias(''), batch)) {
      const states = await Promise.all(digests.map((digest) => this.find(digest)));
      yield digests.flatMap((digest, index) => {
        const found = states[index];
        return found?.state === 'session' ? [{ digest, sessionId: found.sessionId }] : [];
      });
    }
  }

  override legacySessions(prefix: string): LegacySessions {
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

/** Anything but a session id is a mark: what cannot be read must let nobody in, and must not be written over. */
function stateOf(value: string | null): AliasState {
  if (value === null || value === '') return { state: 'absent' };
  const named = value.slice(1);
  if (isSessionId(value)) return { state: 'session', sessionId: value };
  return { state: 'ended', sessionId: isSessionId(named) ? named : null };
}
