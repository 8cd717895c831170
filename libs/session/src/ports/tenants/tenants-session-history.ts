import { ConfigurationError } from '../../model/errors.js';
import { SessionHistory, type SessionHistoryEntry } from '../session-history.js';

/** The audit trails of many tenants: each call is one of the current tenant. */
export class TenantsSessionHistory extends SessionHistory {
  /** @param find The trail of the current tenant. */
  constructor(private readonly find: () => SessionHistory | null) {
    super();
  }

  async add(userId: string, entry: SessionHistoryEntry): Promise<void> {
    return this.own().add(userId, entry);
  }

  async list(userId: string, options?: { limit?: number }): Promise<SessionHistoryEntry[]> {
    return this.own().list(userId, options);
  }

  async clear(userId: string): Promise<void> {
    return this.own().clear(userId);
  }

  private own(): SessionHistory {
    const history = this.find();
    if (history) return history;
    throw new ConfigurationError('history: your store keeps no audit trail for this tenant.');
  }
}
