import { Logger, type OnModuleInit } from '@nestjs/common';
import { messageOf } from '../model/error-text.js';
import { isAnonymousUserId } from '../model/alias.js';
import { ConfigurationError } from '../model/errors.js';
import type { SessionEvent, SessionEventType } from '../model/events.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SessionHistory, type SessionHistoryEntry } from '../ports/session-history.js';
import type { SessionStore } from '../ports/session-store.js';
import type { SessionEvents } from './session-events.js';

/** The events that interest a user. Events of every use would crowd them out. */
const WRITTEN: ReadonlySet<SessionEventType> = new Set([
  'created',
  'regenerated',
  'ended',
  'new-device',
  'impersonation-started',
  'hijack-suspected',
  'bound',
  'binding-failed',
  'bound-cookie-missing',
  'reuse-detected',
  'use-after-end',
  'limit-reached',
]);

/** Maximum number of pending writes. While the store hangs, further entries are dropped. */
const MOST_AT_ONCE = 1_000;

/**
 * Writes the audit trail in the background, from this instance's own events, so that nothing is written twice. An entry that
 * cannot be written is lost and fails no request.
 */
export class SessionHistoryWriter implements OnModuleInit {
  private readonly logger = new Logger(SessionHistoryWriter.name);
  private readonly running = new Set<Promise<void>>();
  private failing = false;

  constructor(
    private readonly events: SessionEvents,
    private readonly store: SessionStore,
    private readonly history: SessionHistory,
    private readonly options: ResolvedSessionOptions,
  ) {}

  onModuleInit(): void {
    if (this.options.history) this.events.all$.subscribe((event) => this.note(event));
  }

  /** Resolves when all entries so far are written or dropped. */
  async settle(): Promise<void> {
    await Promise.all(this.running);
  }

  private note(event: SessionEvent): void {
    const isRevocation = event.type === 'changed' && event.cause === 'tokens-revoked';
    // Nobody could read the trail of an anonymous visitor.
    if (event.remote || event.userId === '' || isAnonymousUserId(event.userId)) return;
    if (!WRITTEN.has(event.type) && !isRevocation) return;
    const writing = this.running.size < MOST_AT_ONCE ? this.write(event) : this.giveUp(new Error('too many at once'));
    const done = writing.finally(() => this.running.delete(done));
    this.running.add(done);
  }

  private async write(event: SessionEvent): Promise<void> {
    try {
      await this.history.add(event.userId, await this.entryOf(event));
      this.failing = false;
    } catch (error) {
      await this.giveUp(error);
    }
  }

  private async giveUp(error: unknown): Promise<void> {
    if (!this.failing) this.logger.warn(`The audit trail cannot be written: ${messageOf(error)}`);
    this.failing = true;
  }

  private async entryOf(event: SessionEvent): Promise<SessionHistoryEntry> {
    const { type, at, sessionId } = event;
    // Only the sign-in stores the client; later entries of the session are read together with it.
    const session = type === 'created' ? await this.store.get(sessionId) : null;
    const ip = session?.metadata?.ip;
    return {
      type,
      at,
      sessionId,
      ...((event.type === 'ended' || event.type === 'use-after-end') && { reason: event.reason }),
      ...detailOf(event),
      ...(session?.deviceName !== undefined && { deviceName: session.deviceName }),
      ...(ip !== undefined && { ip }),
    };
  }
}

function detailOf(event: SessionEvent): { detail?: string } {
  switch (event.type) {
    case 'hijack-suspected':
      return { detail: `${event.signals.join(', ')}: ${event.action}` };
    case 'binding-failed':
      return { detail: `${event.step}: ${event.reason}` };
    case 'bound-cookie-missing':
      return { detail: event.action };
    case 'impersonation-started':
      return { detail: event.actor.userId };
    case 'changed':
      return { detail: 'tokens-revoked' };
    default:
      return {};
  }
}

/** Used where no audit trail is kept: each call fails with the option to set. */
export class NoSessionHistory extends SessionHistory {
  async add(): Promise<void> {
    throw off();
  }

  async list(): Promise<SessionHistoryEntry[]> {
    throw off();
  }

  async clear(): Promise<void> {
    throw off();
  }
}

/**
 * The audit trail of a store.
 *
 * @throws {ConfigurationError} when the option `history` is on and the store has none.
 */
export function historyOf(store: SessionStore, { history }: Pick<ResolvedSessionOptions, 'history'>): SessionHistory {
  if (!history) return new NoSessionHistory();
  const kept = store.history?.(history) ?? null;
  if (kept) return kept;
  throw new ConfigurationError(
    'history: your store keeps no audit trail. Add a method history() to it, or omit the option.',
  );
}

function off(): ConfigurationError {
  return new ConfigurationError('history: no audit trail is kept. Set history: true, or { maxEntries, retention }.');
}
