// Over 300 lines because every action of an administrator shares the same checks and the same audit event.
import { performance } from 'node:perf_hooks';
import { InvalidArgumentError } from '../model/errors.js';
import type { AdminActionKind, SessionEvent } from '../model/events.js';
import { isSessionId } from '../model/ids.js';
import { roleList } from '../model/record-fields.js';
import type { Session, SessionData } from '../model/session.js';
import type { SessionScan, SessionStore } from '../ports/session-store.js';
import { conditionsOf, matcherOf, type SessionFilter } from './session-filter.js';

/** Who acts, and why. Both are in the `admin-action` event; neither may be empty. */
export interface AdminAction {
  /** The administrator's user id, or another name that identifies them. At most 256 characters. */
  readonly actor: string;
  /** For the audit trail, such as a ticket number. At most 256 characters. */
  readonly reason: string;
}

/** How far a long operation has come. */
export interface AdminProgress {
  /** How many sessions were counted or ended so far. */
  readonly sessions: number;
  /** From 0 to 1; an estimate. */
  readonly progress: number;
}

export interface LongOperationOptions {
  /** Called after each batch. The operation waits for a promise that it returns: pausing there leaves the store to others. */
  readonly onProgress?: (progress: AdminProgress) => unknown;
}

export interface SearchOptions {
  /** Where the page before stopped. */
  readonly cursor?: string;
  /** Maximum number of sessions on the page. Default 100. */
  readonly limit?: number;
  /** Milliseconds after which a page is returned that is not full, possibly empty. Default: no limit. */
  readonly budget?: number;
}

/** A part of the sessions that match. */
export interface SessionPage<T = SessionData> {
  readonly sessions: Session<T>[];
  /** For the next page; null on the last one. A page with a cursor may be empty. */
  readonly cursor: string | null;
  /** The share of all sessions that was searched: an estimate from 0 to 1. */
  readonly progress: number;
}

/** Number of sessions, or users, whose sessions end at once. */
const AT_ONCE = 64;
/** How often a long operation reports, ms. */
const REPORT_EVERY = 100;

/** Searches, counts, changes and ends the sessions of one tenant, on behalf of an administrator. */
export class SessionAdministration {
  constructor(
    protected readonly store: SessionStore,
    private readonly publish: (event: SessionEvent) => void,
  ) {}

  /** The user's live sessions, latest access first. Records no access. */
  async listSessions<T = SessionData>(userId: string): Promise<Session<T>[]> {
    return this.store.getActiveSessions<T>(userId);
  }

  /**
   * One page of the sessions that match, in the order of the bytes of their ids. Reads the sessions of all users in batches,
   * unless the filter names one. Records no access.
   *
   * @throws {InvalidArgumentError} for a wrong filter, cursor or limit.
   */
  async search<T = SessionData>(
    filter: SessionFilter = {},
    { cursor, limit = 100, budget = Infinity }: SearchOptions = {},
  ): Promise<SessionPage<T>> {
    if (!Number.isSafeInteger(limit) || limit < 1)
      throw new InvalidArgumentError('limit', 'must be a whole number from 1');
    const matches = matcherOf(filter);
    const startedAt = performance.now();
    const found: Session[] = [];
    let { part, after } = positionOf(cursor);
    for (;;) {
      const room = limit - found.length;
      const scan = await this.scan(filter, part, conditionsOf(filter).length === 0 ? room : undefined);
      const candidates = scan.sessions
        .filter((session) => orderOf(session) > after && matches(session))
        .sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
      found.push(...candidates.slice(0, room));
      const page = { sessions: found as Session<T>[], progress: scan.progress };
      const last = found.at(-1);
      if (candidates.length > room && last) return { ...page, cursor: `${part}.${last.id}` };
      if (scan.cursor === null) return { ...page, cursor: null };
      part = scan.cursor;
      after = '';
      if (found.length === limit || performance.now() - startedAt > budget) return { ...page, cursor: `${part}.` };
    }
  }

  /** How many sessions are live, or match. Exact, except for those that start or end meanwhile. */
  async countSessions(filter: SessionFilter = {}, { onProgress }: LongOperationOptions = {}): Promise<number> {
    let sessions = 0;
    const isFiltered = conditionsOf(filter).length > 0;
    if (!isFiltered && !onProgress) return this.store.count();
    const matches = matcherOf(filter);
    for (let cursor: number | null = 0; cursor !== null;) {
      if (isFiltered) {
        const scan: SessionScan = await this.scan(filter, cursor);
        sessions += scan.sessions.filter(matches).length;
        cursor = scan.cursor;
        await onProgress?.({ sessions, progress: scan.progress });
      } else {
        const part: { count: number; cursor: number | null } = await this.store.countPart({
          cursor,
          budget: REPORT_EVERY,
        });
        sessions += part.count;
        cursor = part.cursor;
        await onProgress?.({ sessions, progress: cursor === null ? 1 : 0 });
      }
    }
    return sessions;
  }

  /** Ends one session of any user. False when no live session has this id. */
  async endSession(sessionId: string, by: AdminAction): Promise<boolean> {
    const whose = { sessionId: isSessionId(sessionId) ? sessionId : '' };
    const ended = await this.audited('end-session', by, whose, async (count) => {
      if (await this.store.destroy(sessionId, { reason: 'admin' })) count(1);
    });
    return ended > 0;
  }

  /** Ends all sessions of a user in one step, and refuses sign-ins that were verified before. Returns how many ended. */
  async endUserSessions(userId: string, by: AdminAction): Promise<number> {
    return this.audited('end-user', by, { userId }, async (count) => count(await this.endUser(userId)));
  }

  /**
   * Call it once an account is disabled: ends all sessions of the user in one step, access and refresh tokens with them, and
   * refuses sign-ins whose proof was verified before (ASVS 5.0, 7.4.2). Disable the account in your own database first, so that
   * no later sign-in succeeds. Safe to repeat. Returns how many sessions ended.
   */
  async accountDisabled(userId: string, by: AdminAction): Promise<number> {
    return this.audited('account-disabled', by, { userId }, async (count) => count(await this.endUser(userId)));
  }

  /**
   * Call it once an account is deleted; does the same as `accountDisabled`. The audit trail stays: `SessionHistory.clear` deletes it.
   */
  async accountDeleted(userId: string, by: AdminAction): Promise<number> {
    return this.audited('account-deleted', by, { userId }, async (count) => count(await this.endUser(userId)));
  }

  /**
   * Call it once the roles of a user have changed: all live sessions have the new ones from the next request on, on every instance,
   * with cookies and tokens (ASVS 5.0, 8.3.2). Write them to your own database first: a later sign-in takes its roles from there.
   * Returns how many sessions the user has.
   *
   * @throws {InvalidArgumentError} for roles that are no list of strings.
   */
  async rolesChanged(userId: string, roles: readonly string[], by: AdminAction): Promise<number> {
    const checked = roleList(roles);
    let live = 0;
    await this.audited('roles-changed', by, { userId, roles: checked }, async () => {
      live = await this.store.updateUser(userId, { roles: checked });
    });
    return live;
  }

  /**
   * Ends all sessions of each user, like `endUserSessions`. Users without sessions and repeated ones do no harm; after a
   * failure, call it again to end the rest. Returns how many ended.
   */
  async endUsersSessions(
    userIds: readonly string[],
    by: AdminAction,
    { onProgress }: LongOperationOptions = {},
  ): Promise<number> {
    const users = [...new Set(userIds)];
    return this.audited('end-users', by, {}, async (count) => {
      for (let first = 0; first < users.length; first += AT_ONCE) {
        const batch = users.slice(first, first + AT_ONCE);
        const sessions = await all(batch, async (userId) => count(await this.endUser(userId)));
        await onProgress?.({ sessions, progress: Math.min(1, (first + AT_ONCE) / users.length) });
      }
    });
  }

  /**
   * Ends the sessions that match and started before now. After a failure, call it again to end the rest. Returns how many.
   *
   * @throws {InvalidArgumentError} for a filter without conditions: `endEverybody` ends all sessions.
   */
  async endMatching(
    filter: SessionFilter,
    by: AdminAction,
    { onProgress }: LongOperationOptions = {},
  ): Promise<number> {
    if (conditionsOf(filter).length === 0)
      throw new InvalidArgumentError('filter', 'must have a condition; endEverybody() ends all sessions');
    const matches = matcherOf(filter);
    const now = this.store.now();
    return this.audited('end-matching', by, { userId: filter.userId ?? '' }, async (count) => {
      for (let cursor: number | null = 0; cursor !== null;) {
        const scan: SessionScan = await this.scan(filter, cursor);
        const due = scan.sessions.filter((session) => session.createdAt <= now && matches(session));
        let sessions = count(0);
        for (let first = 0; first < due.length; first += AT_ONCE) {
          sessions = await all(due.slice(first, first + AT_ONCE), async ({ id }) =>
            count((await this.store.destroy(id, { reason: 'admin' })) ? 1 : 0),
          );
        }
        cursor = scan.cursor;
        await onProgress?.({ sessions, progress: scan.progress });
      }
    });
  }

  /**
   * Ends all sessions that started before now, of all users (ASVS 5.0, 7.4.5). Works user by user: after a failure, call it
   * again to end the rest. Returns how many.
   */
  async endEverybody(by: AdminAction, { onProgress }: LongOperationOptions = {}): Promise<number> {
    const createdBefore = this.store.now();
    return this.audited('end-everybody', by, {}, async (count) => {
      // Without a listener nobody needs the parts.
      const budget = onProgress ? REPORT_EVERY : Infinity;
      for (let cursor: number | null = 0; cursor !== null;) {
        const part: { ended: number; cursor: number | null } = await this.store.destroyEverybody({
          reason: 'admin',
          createdBefore,
          cursor,
          budget,
        });
        const sessions = count(part.ended);
        cursor = part.cursor;
        await onProgress?.({ sessions, progress: cursor === null ? 1 : 0 });
      }
    });
  }

  private async endUser(userId: string): Promise<number> {
    return this.store.destroyAll(userId, { reason: 'admin', refuseEarlierSignIns: true });
  }

  private async scan({ userId }: SessionFilter, cursor: number, atLeast?: number): Promise<SessionScan> {
    if (userId !== undefined) {
      return { sessions: await this.store.getActiveSessions(userId), cursor: null, progress: 1 };
    }
    return this.store.scanSessions({ cursor, ...(atLeast !== undefined && { atLeast }) });
  }

  /** Runs an action and publishes its event, also after a failure. `count` adds ended sessions and returns their sum. */
  private async audited(
    action: AdminActionKind,
    by: AdminAction,
    whose: { sessionId?: string; userId?: string; roles?: readonly string[] },
    run: (count: (ended: number) => number) => Promise<unknown>,
  ): Promise<number> {
    const actor = named('actor', by?.actor);
    const reason = named('reason', by?.reason);
    let ended = 0;
    let completed = false;
    try {
      await run((more) => (ended += more));
      completed = true;
      return ended;
    } finally {
      const { sessionId = '', userId = '', roles } = whose;
      const at = this.store.now();
      this.publish({
        type: 'admin-action',
        action,
        at,
        sessionId,
        userId,
        actor,
        reason,
        ended,
        completed,
        ...(roles && { roles }),
        remote: false,
      });
    }
  }
}

/** Runs the work of all items, waits for all of it even if some fails, and returns the last result. */
async function all<T>(items: readonly T[], work: (item: T) => Promise<number>): Promise<number> {
  const results = await Promise.allSettled(items.map(work));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
  return Math.max(0, ...results.map((result) => (result.status === 'fulfilled' ? result.value : 0)));
}

function named(argument: string, value: unknown): string {
  if (typeof value === 'string' && value.trim() !== '' && value.length <= 256) return value;
  throw new InvalidArgumentError(
    argument,
    'must be a non-empty string of at most 256 characters: it goes into the audit',
  );
}

function positionOf(cursor: string | undefined): { part: number; after: string } {
  if (cursor === undefined) return { part: 0, after: '' };
  const [, part, id = ''] = /^(\d{1,15})\.([A-Za-z0-9_-]{32})?$/.exec(cursor) ?? [];
  if (part === undefined) throw new InvalidArgumentError('cursor', 'must come from an earlier page');
  return { part: Number(part), after: id === '' ? '' : orderOf({ id }) };
}

/** The bytes of the id: scans proceed in their order, so that a page can continue behind a session. */
function orderOf({ id }: { readonly id: string }): string {
  return Buffer.from(id, 'base64url').toString('hex');
}
