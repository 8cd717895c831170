import { SessionAliases, type AliasState, type PointRequest } from '../ports/session-aliases.js';

export interface MemorySessionAliasesOptions {
  /** Epoch ms. Default: the system clock. */
  clock?: () => number;
}

interface Alias {
  readonly sessionId: string | null;
  readonly ended: boolean;
  readonly until: number;
}

/** Number of aliases checked per write: expired ones go faster than new ones arrive. */
const SWEPT_PER_WRITE = 4;
const BATCH = 100;

/** Keeps aliases in this process, beside a `MemorySessionStore`. */
export class MemorySessionAliases extends SessionAliases {
  private readonly aliases = new Map<string, Alias>();
  private readonly clock: () => number;

  constructor({ clock = Date.now }: MemorySessionAliasesOptions = {}) {
    super();
    this.clock = clock;
  }

  /** Number of stored aliases, including expired ones. */
  get size(): number {
    return this.aliases.size;
  }

  async find(digest: string): Promise<AliasState> {
    return this.look(digest);
  }

  async point(digest: string, { from, to, lifetime }: PointRequest): Promise<AliasState> {
    const found = this.look(digest);
    const stands = found.state === 'session' ? found.sessionId : null;
    if (found.state === 'ended' || (stands !== from && stands !== to)) return found;
    this.write(digest, { sessionId: to, ended: false }, lifetime);
    return { state: 'session', sessionId: to };
  }

  async keep(digest: string, sessionId: string, lifetime: number): Promise<AliasState> {
    const found = this.look(digest);
    if (found.state === 'session' && found.sessionId === sessionId)
      this.write(digest, { sessionId, ended: false }, lifetime);
    return found;
  }

  async end(digest: string, lifetime: number): Promise<AliasState> {
    const found = this.look(digest);
    this.write(digest, { sessionId: found.state === 'absent' ? null : found.sessionId, ended: true }, lifetime);
    return found;
  }

  async *list({ batch = BATCH }: { batch?: number } = {}): AsyncIterable<
    readonly { digest: string; sessionId: string }[]
  > {
    const digests = [...this.aliases.keys()];
    for (let first = 0; first < digests.length; first += batch) {
      yield digests.slice(first, first + batch).flatMap((digest) => {
        const found = this.look(digest);
        return found.state === 'session' ? [{ digest, sessionId: found.sessionId }] : [];
      });
    }
  }

  private look(digest: string): AliasState {
    const alias = this.aliases.get(digest);
    if (!alias || alias.until <= this.clock()) return { state: 'absent' };
    const { sessionId, ended } = alias;
    return ended || sessionId === null ? { state: 'ended', sessionId } : { state: 'session', sessionId };
  }

  private write(digest: string, alias: Omit<Alias, 'until'>, lifetime: number): void {
    const now = this.clock();
    let looked = 0;
    for (const [key, other] of this.aliases) {
      if (looked++ === SWEPT_PER_WRITE) break;
      this.aliases.delete(key);
      if (other.until > now) this.aliases.set(key, other);
    }
    const before = this.aliases.get(digest);
    const isSame = before?.sessionId === alias.sessionId && before.ended === alias.ended;
    this.aliases.set(digest, { ...alias, until: Math.max(now + lifetime, isSame ? before.until : 0) });
  }
}
