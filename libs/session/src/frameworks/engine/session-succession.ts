import { LRUCache } from 'lru-cache';
import { endedError } from '../../model/errors.js';
import type { EndReason } from '../../model/session.js';
import type { SessionAliases } from '../../ports/session-aliases.js';
import type { SessionStore } from '../../ports/session-store.js';
import type { Baseline } from './session-baseline.js';

/** Ends by which a user or an administrator, or a defence on their behalf, signs a session out. */
const SIGN_OUTS: readonly EndReason[] = ['logout', 'revoked', 'reuse', 'hijack', 'admin'];

/** How many ends of this process are remembered: they matter while the request that caused them still runs. */
const REMEMBERED_ENDS = 10_000;

/**
 * Decides whether a request may replace the session that it began with by another one of a user (`regenerate`). If that
 * session was signed out while the request ran, the new one would undo the sign-out.
 */
export class SessionSuccession {
  private readonly firstBaselines = new WeakMap<object, Baseline>();
  /** By digest: whether the latest end requested by this process met a live session. */
  private readonly ends = new LRUCache<string, boolean>({ max: REMEMBERED_ENDS });

  constructor(
    private readonly store: SessionStore,
    private readonly aliases: SessionAliases,
  ) {}

  /** Records the session that a request began with. Later calls for the same request change nothing. */
  begin(request: object, baseline: Baseline): void {
    if (!this.firstBaselines.has(request)) this.firstBaselines.set(request, baseline);
  }

  /** Records whether an end met a live session. If it did, no one else had ended the session before. */
  recordEnd(digest: string, wasLive: boolean): void {
    this.ends.set(digest, wasLive);
  }

  /** @throws {AuthenticationError} if the session that the request began with was signed out by someone else. */
  async assertMayContinue(request: object, digest: string): Promise<void> {
    const first = this.firstBaselines.get(request);
    if (!first || first.digest === digest || this.ends.get(first.digest) === true) return;
    const reason = await this.signOutOf(first);
    if (reason !== null) throw endedError(reason);
  }

  private async signOutOf({ digest, sessionId }: Baseline): Promise<EndReason | null> {
    const alias = await this.aliases.find(digest);
    const current = (alias.state === 'absent' ? null : alias.sessionId) ?? sessionId;
    if (current === null) return null;
    const snapshot = await this.store.read(current);
    if (snapshot.state === 'live') return null;
    // If the store no longer knows the reason, assume a sign-out.
    if (snapshot.state !== 'ended') return 'revoked';
    return SIGN_OUTS.includes(snapshot.reason) ? snapshot.reason : null;
  }
}
