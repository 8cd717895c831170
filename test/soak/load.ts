import { randomBytes, randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { AuthenticationError, StoreUnavailableError } from '../../libs/session/src/model/errors.js';
import { RedisKeys } from '../../libs/session/src/redis/keys.js';
import type { RedisSessionStore } from '../../libs/session/src/redis/redis-session-store.js';
import { checkHistory, type Deed, type HistoryRules, type Recorded } from '../support/history-checker.js';
import { Outages } from './outages.js';
import type { FaultNotes } from './topology.js';

const LIMIT = 3;
const USERS = 40;
const CLIENTS_PER_INSTANCE = 6;
/** Some sessions have an absolute end as near as this, ms. */
const SHORT_LIFE = 4_000;

export interface LoadSettings {
  /** The part of the servers that keeps a slot. */
  readonly shardOf: (slot: number) => number;
  /** Whether every replica has what was confirmed, so that no failover may undo an end. */
  readonly undoneIsWrong: boolean;
  /** The longest time until an instance knows the time of a server again, ms. */
  readonly clockError: number;
}

interface Known {
  readonly session: string;
  readonly user: string;
  readonly hash: Buffer;
  generation: number;
  branch: number;
  isRefreshing: boolean;
}

/** Clients of all instances at full speed, whose answers are recorded and checked. */
export class Load implements FaultNotes {
  readonly counts: Record<string, number> = {};
  readonly wrong: string[] = [];
  private history: Recorded[] = [];
  private known: Known[] = [];
  private readonly ended: string[] = [];
  private lost: NonNullable<HistoryRules['lost']>[number][] = [];
  private faults: { fault: string; from: number; to: number }[] = [];
  private epoch = 0;
  private isRunning = false;
  private clients: Promise<void>[] = [];
  private readonly keys = new RedisKeys('session:', '');
  readonly outages = new Outages();

  constructor(
    private readonly stores: readonly RedisSessionStore[],
    private readonly settings: LoadSettings,
  ) {}

  start(): void {
    this.epoch += 1;
    this.isRunning = true;
    this.clients = this.stores.flatMap((store, instance) =>
      Array.from({ length: CLIENTS_PER_INSTANCE }, (_, index) => this.client(`${instance}`, `${index}`, store)),
    );
  }

  async stop(): Promise<void> {
    this.isRunning = false;
    await Promise.all(this.clients);
    this.outages.pause();
  }

  /** Once Redis answers again: every session is read by some instance, and the history is checked. */
  async settle(): Promise<void> {
    for (const store of this.stores) {
      const until = performance.now() + 20_000;
      while ((await store.count().catch(() => null)) === null && performance.now() < until) await sleep(50);
    }
    const sessions = [...new Set([...this.known.map(({ session }) => session), ...this.ended])];
    for (const [index, session] of sessions.entries()) {
      const store = this.stores[index % this.stores.length] as RedisSessionStore;
      await this.record('final', () => this.request(store, session));
    }
    const { wrong, undone } = checkHistory(this.history, { limit: LIMIT, lost: this.lost });
    const found = this.settings.undoneIsWrong ? [...wrong, ...undone] : wrong;
    if (!this.settings.undoneIsWrong) this.countUndone(undone);
    this.wrong.push(...found);
    if (found.length > 0) process.stderr.write(`${this.storyOf(found.join())}\n`);
    this.faults = [];
    this.count('ends checked', this.ended.length);
    this.history = [];
    this.known = [];
    this.ended.length = 0;
    this.lost = [];
  }

  /** A fault that has just ended. */
  caused(fault: string, from: number): void {
    this.count(`fault: ${fault}`);
    const to = performance.now();
    this.faults.push({ fault, from, to });
    this.outages.caused(fault, from, to);
  }

  /** Ends that came back, and how many of these sessions were still alive at the end. */
  private countUndone(undone: readonly string[]): void {
    const sessionsOf = (lines: readonly string[]): Set<string> =>
      new Set(lines.map((line) => line.split(' ').at(-1) ?? ''));
    const sessions = sessionsOf(undone);
    const last = new Map(
      this.history.flatMap(({ client, did }) =>
        client === 'final' && did.kind === 'request' ? [[did.session, did.outcome] as const] : [],
      ),
    );
    this.count('ends undone', sessions.size);
    this.count('ends undone for good', [...sessions].filter((session) => last.get(session) === 'accepted').length);
  }

  /** What happened to the sessions that are named in the text, and the faults meanwhile. */
  private storyOf(text: string): string {
    const at = (ms: number): string => ms.toFixed(0).padStart(8);
    const deeds = this.history
      .filter(({ did }) =>
        'session' in did
          ? did.session !== null && text.includes(did.session)
          : did.kind === 'list' && (text.includes(did.user) || did.sessions?.some((session) => text.includes(session))),
      )
      .map(({ client, invokedAt, completedAt, did }) => ({
        at: invokedAt,
        line: `${at(invokedAt)} ${at(completedAt)} ${client} ${JSON.stringify(did)}`,
      }));
    const faults = this.faults.map(({ fault, from, to }) => ({
      at: from,
      line: `${at(from)} ${at(to)} FAULT ${fault}`,
    }));
    return [...deeds, ...faults]
      .sort((a, b) => a.at - b.at)
      .map(({ line }) => line)
      .join('\n');
  }

  /** Writes since `from` may be lost, except for those that replicas confirm. */
  mayLose(from: number): void {
    this.lost.push({ from, to: performance.now() });
  }

  private async client(instance: string, index: string, store: RedisSessionStore): Promise<void> {
    while (this.isRunning) {
      const did = await this.record(`${instance}.${index}`, () => this.deed(store));
      if (did && isAnswered(did)) this.outages.answered(`${instance}.${this.shardOf(did)}`);
      // While the circuit is open refusals come at once, without a turn of the event loop.
      await sleep(!did || isAnswered(did) ? randomInt(3) : 10);
    }
  }

  private async record(client: string, act: () => Promise<Deed | null>): Promise<Deed | null> {
    const invokedAt = performance.now();
    const did = await act();
    if (!did) return null;
    this.history.push({ client, invokedAt, completedAt: performance.now(), did });
    this.count(isAnswered(did) ? 'answers' : '503');
    return did;
  }

  private shardOf(did: Deed): number {
    const { slot } = 'user' in did ? this.keys.ofUser(did.user) : this.keys.ofSession(did.session);
    return this.settings.shardOf(slot);
  }

  private async deed(store: RedisSessionStore): Promise<Deed | null> {
    const dice = randomInt(100);
    const user = `${this.epoch}-${randomInt(USERS)}`;
    const known = this.known[randomInt(Math.max(1, this.known.length))];
    if (!known || dice < 12) return this.signIn(store, user);
    if (dice < 18) return this.end(store, known);
    if (dice < 20) return this.endAll(store, user);
    if (dice < 30) return this.list(store, user);
    if (dice < 45) return this.refresh(store, known);
    return this.request(store, known.session);
  }

  private async signIn(store: RedisSessionStore, user: string): Promise<Deed> {
    const hash = randomBytes(32);
    const limit = { max: LIMIT, onLimit: 'evict-oldest' } as const;
    const life = randomInt(5) === 0 ? { absoluteTimeout: SHORT_LIFE } : {};
    const invokedAt = performance.now();
    // A command that was sent again may find that its session began at the first time, and ended meanwhile.
    const created = store
      .createLive({ userId: user }, { limit, credentials: { refresh: hash }, ...life })
      .catch((error: unknown) => {
        if (error instanceof AuthenticationError) return null;
        throw error;
      });
    const live = await answerOf(created);
    if (!live) return { kind: 'sign-in', user, session: null, outcome: 'unknown' };
    const session = live.session.id;
    const { generation = 0, branch = 0 } = live.families.refresh ?? {};
    this.known.push({ session, user, hash, generation, branch, isRefreshing: false });
    if (this.known.length > 400) this.known.shift();
    const { clockError } = this.settings;
    const ends = {
      mayEndAt: invokedAt + SHORT_LIFE - clockError,
      endsAt: performance.now() + SHORT_LIFE + clockError,
    };
    return { kind: 'sign-in', user, session, outcome: 'ok', ...('absoluteTimeout' in life && ends) };
  }

  private async request(store: RedisSessionStore, session: string): Promise<Deed> {
    const snapshot = await answerOf(store.read(session));
    const outcome = !snapshot ? 'unknown' : snapshot.state === 'live' ? 'accepted' : 'refused';
    return { kind: 'request', session, outcome };
  }

  private async end(store: RedisSessionStore, { session }: Known): Promise<Deed> {
    const done = await answerOf(store.destroy(session));
    if (done !== null) this.ended.push(session);
    return { kind: 'end', session, outcome: done === null ? 'unknown' : 'ok' };
  }

  private async endAll(store: RedisSessionStore, user: string): Promise<Deed> {
    const done = await answerOf(store.destroyAll(user));
    return { kind: 'end-all', user, outcome: done === null ? 'unknown' : 'ok' };
  }

  private async list(store: RedisSessionStore, user: string): Promise<Deed> {
    const sessions = await answerOf(store.getActiveSessions(user));
    return { kind: 'list', user, sessions: sessions && sessions.map(({ id }) => id) };
  }

  private async refresh(store: RedisSessionStore, known: Known): Promise<Deed | null> {
    // Two holders of one token would be reuse.
    if (known.isRefreshing) return null;
    known.isRefreshing = true;
    const { session, hash, generation, branch } = known;
    try {
      const outcome = await answerOf(
        store.rotate(session, {
          kind: 'refresh',
          presented: { hash, generation, branch },
          grace: 30_000,
          rotateAfter: 0,
          rotateFirst: true,
          touch: true,
        }),
      );
      const base = { kind: 'refresh', session, presented: generation } as const;
      if (!outcome) return { ...base, returned: null, outcome: 'unknown' };
      if (!('generation' in outcome)) return { ...base, returned: null, outcome: 'refused' };
      known.generation = outcome.generation;
      known.branch = outcome.branch;
      return { ...base, returned: outcome.generation, outcome: 'ok' };
    } finally {
      known.isRefreshing = false;
    }
  }

  count(name: string, by = 1): void {
    this.counts[name] = (this.counts[name] ?? 0) + by;
  }
}

/** Whether it is anything but 503. */
function isAnswered(did: Deed): boolean {
  return 'outcome' in did ? did.outcome !== 'unknown' : did.sessions !== null;
}

/** Null for 503; any other error is a wrong answer and fails the soak. */
async function answerOf<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof StoreUnavailableError) return null;
    throw error;
  }
}
