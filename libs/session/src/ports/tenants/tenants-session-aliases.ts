import { ConfigurationError } from '../../model/errors.js';
import type { LegacySessions } from '../legacy-sessions.js';
import { SessionAliases, type AliasState, type PointRequest } from '../session-aliases.js';

/** The aliases of many tenants: each call is one of the current tenant. */
export class TenantsSessionAliases extends SessionAliases {
  /** @param ofTenant Finds the aliases of the current tenant. */
  constructor(private readonly ofTenant: () => SessionAliases | null) {
    super();
  }

  async find(digest: string): Promise<AliasState> {
    return this.own().find(digest);
  }

  async point(digest: string, request: PointRequest): Promise<AliasState> {
    return this.own().point(digest, request);
  }

  async keep(digest: string, sessionId: string, lifetime: number): Promise<AliasState> {
    return this.own().keep(digest, sessionId, lifetime);
  }

  async end(digest: string, lifetime: number): Promise<AliasState> {
    return this.own().end(digest, lifetime);
  }

  list(options?: { batch?: number }): AsyncIterable<readonly { digest: string; sessionId: string }[]> {
    return this.own().list(options);
  }

  /** @throws {ConfigurationError} always: any tenant could take over such a session. */
  override legacySessions(): LegacySessions | null {
    throw new ConfigurationError(
      'prefix: sessions of an earlier library belong to no tenant, so an application with many tenants cannot take them over. Omit it.',
    );
  }

  private own(): SessionAliases {
    const aliases = this.ofTenant();
    if (aliases) return aliases;
    throw new ConfigurationError('aliases: your store has none for this tenant.');
  }
}
