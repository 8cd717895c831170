/** What a client did, and what it learnt. Instants are of one monotonic clock for all clients, ms. */
export interface Recorded {
  readonly client: string;
  readonly invokedAt: number;
  readonly completedAt: number;
  readonly did: Deed;
}

/**
 * `unknown`: 503 or no answer; it may have happened, or happen until its command timeout. `refused`: 401 or its like,
 * after which nothing has changed.
 */
export type Deed =
  | {
      readonly kind: 'sign-in';
      readonly user: string;
      /** Null if unknown whether there is one. */
      readonly session: string | null;
      readonly outcome: 'ok' | 'refused' | 'unknown';
      /** When the session must have ended, at the latest. */
      readonly endsAt?: number;
      /** When it may have ended by itself, at the earliest. Default `endsAt`. */
      readonly mayEndAt?: number;
    }
  | { readonly kind: 'request'; readonly session: string; readonly outcome: 'accepted' | 'refused' | 'unknown' }
  | {
      readonly kind: 'refresh';
      readonly session: string;
      readonly presented: number;
      /** The generation that came back; null unless `ok`. */
      readonly returned: number | null;
      readonly outcome: 'ok' | 'refused' | 'unknown';
    }
  | { readonly kind: 'end'; readonly session: string; readonly outcome: 'ok' | 'unknown' }
  | { readonly kind: 'end-all'; readonly user: string; readonly outcome: 'ok' | 'unknown' }
  | {
      readonly kind: 'list';
      readonly user: string;
      /** Null if unknown. */
      readonly sessions: readonly string[] | null;
    };

export interface HistoryRules {
  /** Maximum number of sessions per user; a sign-in beyond it evicts. */
  readonly limit: number;
  /** Writes between these instants may be lost, as the store itself announced. */
  readonly lost?: readonly { readonly from: number; readonly to: number }[];
}

export interface Verdict {
  /** What contradicts the model: a wrong answer. */
  readonly wrong: readonly string[];
  /** Acknowledged ends after which the session was accepted, within announced losses. */
  readonly undone: readonly string[];
}

interface Sight {
  readonly session: string;
  /** Known of a list. */
  readonly user?: string;
  readonly invokedAt: number;
  readonly completedAt: number;
  readonly how: string;
}

/**
 * Checks a recorded history against the model of a session store, in the manner of Jepsen: only the order of deeds that
 * do not overlap counts, and a deed without an answer may have happened or not.
 *
 * - After an acknowledged end nothing accepts the session or lists it.
 * - A session whose sign-in was acknowledged is refused only if the history has a reason: an end of it or of all
 *   sessions of its user, a sign-in that evicts, its absolute end, or an announced loss.
 * - No list is longer than the limit, and none omits a session without a reason.
 * - A token family is linear: a refresh gives the presented generation or the next, and never an earlier one than a
 *   refresh that was completed before, unless that one may be lost.
 */
export function checkHistory(history: readonly Recorded[], rules: HistoryRules): Verdict {
  const wrong: string[] = [];
  const undone: string[] = [];
  const signIns = history.flatMap((entry) => (entry.did.kind === 'sign-in' ? [{ ...entry, did: entry.did }] : []));
  const bySession = new Map(
    signIns.flatMap((entry) => (entry.did.session ? [[entry.did.session, entry] as const] : [])),
  );
  const byUser = groupBy(signIns, ({ did }) => did.user);
  const ends = endsBySession(history, bySession);
  const losses = rules.lost ?? [];
  const mayBeLost = (entry: { invokedAt: number; completedAt: number }): boolean =>
    losses.some(({ from, to }) => entry.completedAt >= from && entry.invokedAt <= to);

  for (const sight of sightings(history)) {
    const signedIn = bySession.get(sight.session);
    if (!signedIn) {
      // A sign-in without an answer may have started it.
      const unanswered = (byUser.get(sight.user ?? '') ?? []).some(
        ({ did, invokedAt }) => did.outcome === 'unknown' && invokedAt <= sight.completedAt,
      );
      if (!unanswered) wrong.push(`${sight.how} a session that nobody started: ${sight.session}`);
      continue;
    }
    if (signedIn.did.endsAt !== undefined && sight.invokedAt > signedIn.did.endsAt)
      wrong.push(`${sight.how} past its absolute end: ${sight.session}`);
    const end = ends.get(sight.session)?.find(({ ok, completedAt }) => ok && completedAt < sight.invokedAt);
    if (!end) continue;
    (mayBeLost(end) ? undone : wrong).push(`${sight.how} after an acknowledged end: ${sight.session}`);
  }

  const mayBeGone = (session: string, by: number): boolean => {
    const signedIn = bySession.get(session);
    if (!signedIn || signedIn.did.outcome !== 'ok' || mayBeLost(signedIn)) return true;
    const mayEndAt = signedIn.did.mayEndAt ?? signedIn.did.endsAt;
    if (mayEndAt !== undefined && by >= mayEndAt) return true;
    if (ends.get(session)?.some(({ invokedAt }) => invokedAt <= by)) return true;
    // The user's other sign-ins that may have come later, each of which may have evicted it.
    const later = (byUser.get(signedIn.did.user) ?? []).filter(
      ({ did, invokedAt, completedAt }) =>
        did.outcome !== 'refused' && invokedAt <= by && completedAt >= signedIn.invokedAt,
    );
    return later.length > rules.limit;
  };

  const newest = new Map<string, { invokedAt: number; completedAt: number; generation: number }[]>();
  for (const { did, invokedAt, completedAt } of [...history].sort((a, b) => a.completedAt - b.completedAt)) {
    if (did.kind === 'request' && did.outcome === 'refused' && !mayBeGone(did.session, completedAt))
      wrong.push(`refused without a reason: ${did.session}`);
    if (did.kind === 'list' && did.sessions) {
      if (did.sessions.length > rules.limit)
        wrong.push(`a list of ${did.sessions.length} sessions of ${did.user}, past the limit`);
      for (const { did: signIn, completedAt: since } of byUser.get(did.user) ?? []) {
        const { session } = signIn;
        if (!session || since >= invokedAt || did.sessions.includes(session)) continue;
        if (!mayBeGone(session, completedAt)) wrong.push(`not listed without a reason: ${session}`);
      }
    }
    if (did.kind === 'refresh') {
      if (did.outcome === 'refused' && !mayBeGone(did.session, completedAt))
        wrong.push(`refresh refused without a reason: ${did.session}`);
      if (did.outcome !== 'ok' || did.returned === null) continue;
      if (did.returned !== did.presented && did.returned !== did.presented + 1)
        wrong.push(`generation ${did.returned} for generation ${did.presented}: ${did.session}`);
      const family = newest.get(did.session) ?? [];
      const earlier = family.filter((each) => each.completedAt < invokedAt && !mayBeLost(each));
      if (earlier.some(({ generation }) => generation > (did.returned ?? 0)))
        wrong.push(`generation ${did.returned} after a later one: ${did.session}`);
      family.push({ invokedAt, completedAt, generation: did.returned });
      newest.set(did.session, family);
    }
  }
  return { wrong, undone };
}

interface End {
  readonly ok: boolean;
  readonly invokedAt: number;
  readonly completedAt: number;
}

/** The ends that reach each session. An end of all reaches what was there when it was asked for, or may have been. */
function endsBySession(
  history: readonly Recorded[],
  sessions: ReadonlyMap<string, Recorded & { readonly did: { readonly user: string } }>,
): Map<string, End[]> {
  const ends = new Map<string, End[]>();
  const add = (session: string, end: End): void => {
    const all = ends.get(session);
    if (all) all.push(end);
    else ends.set(session, [end]);
  };
  for (const { did, invokedAt, completedAt } of history) {
    if (did.kind === 'end') add(did.session, { ok: did.outcome === 'ok', invokedAt, completedAt });
    if (did.kind !== 'end-all') continue;
    for (const [session, signedIn] of sessions) {
      if (signedIn.did.user !== did.user || signedIn.invokedAt > completedAt) continue;
      const surely = did.outcome === 'ok' && signedIn.completedAt < invokedAt;
      add(session, { ok: surely, invokedAt, completedAt });
    }
  }
  return ends;
}

/** Each time that a session was seen alive. */
function sightings(history: readonly Recorded[]): Sight[] {
  return history.flatMap(({ did, invokedAt, completedAt }): Sight[] => {
    const at = { invokedAt, completedAt };
    if (did.kind === 'request' && did.outcome === 'accepted') return [{ session: did.session, how: 'accepted', ...at }];
    if (did.kind === 'refresh' && did.outcome === 'ok') return [{ session: did.session, how: 'refreshed', ...at }];
    if (did.kind === 'list' && did.sessions)
      return did.sessions.map((session) => ({ session, user: did.user, how: 'listed', ...at }));
    return [];
  });
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}
