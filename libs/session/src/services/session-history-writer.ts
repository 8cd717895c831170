import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { isAnonymousUserId } from '../model/alias.js';
import { ConfigurationError } from '../model/errors.js';
import type { SessionEvent, SessionEventType } from '../model/events.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionHistory, type SessionHistoryEntry } from '../ports/session-history.js';
import { SessionStore } from '../ports/session-store.js';
import { SessionEvents } from './session-events.js';

/** What a user may want to see of their sessions; what happens at every use would crowd it out. */
const WRITTEN: ReadonlySet<SessionEventType> = new Set([
  'created',
  'renewed',
  'ended',
  'new-device',
  'impersonation-started',
  'hijack-suspected',
  'reuse-detected',
  'use-after-end',
  'limit-reached',
]);

/** Entries under way at most; while the store hangs, more are not taken. */
const MOST_AT_ONCE = 1_000;

/**
 * Writes the audit trail beside the requests, from the events that this instance caused, so that nothing stands in it twice.
 * An entry that cannot be written is lost, and fails nothing.
 */
@Injectable()
export class SessionHistoryWriter implements OnModuleInit {
  private readonly logger = new Logger(SessionHistoryWriter.name);
  private readonly running = new Set<Promise<void>>();
  private failing = false;

  constructor(
    @Inject(SessionEvents) private readonly events: SessionEvents,
    @Inject(SessionStore) private readonly store: SessionStore,
    @Inject(SessionHistory) private readonly history: SessionHistory,
    @Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
  ) {}

  onModuleInit(): void {
    if (this.options.history) this.events.all$.subscribe((event) => this.note(event));
  }

  /** Resolves when all that was noted so far is written or given up. */
  async settle(): Promise<void> {
    await Promise.all(this.running);
  }

  private note(event: SessionEvent): void {
    const isRevocation = event.type === 'changed' && event.cause === 'tokens-revoked';
    // A visitor has no trail that anybody could read.
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
    if (!this.failing)
      this.logger.warn(`The audit trail cannot be written: ${error instanceof Error ? error.message : String(error)}`);
    this.failing = true;
  }

  private async entryOf(event: SessionEvent): Promise<SessionHistoryEntry> {
    const { type, at, sessionId } = event;
    // Only a sign-in tells of its client; later entries of the session are read together with it.
    const session = type === 'created' ? await this.store.get(sessionId) : null;
    const ip = session?.metadata?.ip;
    return {
      type,
      at,
      sessionId,
      ...('reason' in event && { reason: event.reason }),
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
    case 'impersonation-started':
      return { detail: event.actor.userId };
    case 'changed':
      return { detail: 'tokens-revoked' };
    default:
      return {};
  }
}

/** Stands where no audit trail is kept, so that whoever asks for one is told what to set. */
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
 * The audit trails beside a store.
 *
 * @throws {ConfigurationError} when they are asked for and the store has no place for them.
 */
export function historyOf(store: SessionStore, { history }: Pick<ResolvedSessionOptions, 'history'>): SessionHistory {
  if (!history) return new NoSessionHistory();
  const kept = store.history?.(history) ?? null;
  if (kept) return kept;
  throw new ConfigurationError(
    'history: your store keeps no audit trail. Give it a method history(), or leave the option out.',
  );
}

function off(): ConfigurationError {
  return new ConfigurationError('history: no audit trail is kept. Set history: true, or { maxEntries, retention }.');
}
