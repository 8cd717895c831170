import { LRUCache } from 'lru-cache';
import type { HearingWatch } from '../ports/hearing-watch.js';

/** Two clocks: the one stands still while a machine sleeps, the other may be set. */
export interface AgeClock {
  /** Never runs backwards, ms. */
  readonly monotonic: () => number;
  readonly wall: () => number;
}

export interface NearCacheSettings<V> {
  readonly maxEntries: number;
  /** Maximum age of an entry that is used, ms. */
  readonly maxStale: number;
  /** Approximate size of a value in bytes. Default: the same for all. */
  readonly sizeOf?: (value: V) => number;
  /** Whether a value still holds at what `find` was given. Default: always. */
  readonly holds?: (value: V, at: number) => boolean;
  /** Default: the clocks of this process. */
  readonly clock?: AgeClock;
}

/** How often the cache answered, had no entry, and was bypassed because changes may have been missed. */
export type NearCacheCounts = Readonly<Record<'hit' | 'miss' | 'bypassed', number>>;

interface Entry<V> {
  readonly value: V;
  readonly group: string;
  readonly sentAt: Instant;
  /** When its last use was noted, monotonic, ms. */
  usedAt: number;
}

interface Instant {
  readonly monotonic: number;
  readonly wall: number;
}

interface Question {
  readonly group: string;
  readonly sentAt: Instant;
  /** Whether nothing was heard of the group since it was sent. */
  valid: boolean;
}

/** Average size of an entry, bytes; with larger entries the cache holds fewer than `maxEntries`. */
const AVERAGE_SIZE = 4 * 1024;
/** How often the use of an entry is noted at most, ms. */
const USE_NOTED = 1_000;
/** A larger value is not cached, bytes. */
const MAX_SIZE = 16 * 1024;

const PROCESS_CLOCK: AgeClock = { monotonic: () => performance.now(), wall: () => Date.now() };

/**
 * Recent answers by key, in groups that become invalid together. An answer is cached only if no change of its group
 * arrived since the question was sent; its age counts from then, so that it is used for at most `maxStale` after a
 * change, even if the change was missed. While changes may be missed, the cache is empty and takes no entries.
 */
export class NearCache<V extends object> {
  private readonly entries: LRUCache<string, Entry<V>>;
  private readonly keysOf = new Map<string, Set<string>>();
  private readonly asked = new Map<string, Set<Question>>();
  private readonly clock: AgeClock;
  private readonly counted = { hit: 0, miss: 0, bypassed: 0 };
  private hears = false;

  constructor(private readonly settings: NearCacheSettings<V>) {
    const { maxEntries, sizeOf, clock = PROCESS_CLOCK } = settings;
    this.clock = clock;
    this.entries = new LRUCache<string, Entry<V>>({
      max: maxEntries,
      ...(sizeOf && {
        maxSize: Math.max(MAX_SIZE, maxEntries * AVERAGE_SIZE),
        maxEntrySize: MAX_SIZE,
        sizeCalculation: ({ value }) => Math.max(1, Math.ceil(sizeOf(value))),
      }),
      dispose: ({ group }, key) => this.forget(group, key),
    });
  }

  get counts(): NearCacheCounts {
    return { ...this.counted };
  }

  get size(): number {
    return this.entries.size;
  }

  /** Whether the cache can answer now. */
  get isOpen(): boolean {
    return this.hears;
  }

  /** What `HearingWatch` of a port needs. A break is noticed early enough that the cache is emptied before entries are too old. */
  watch(): HearingWatch {
    return {
      within: (2 * this.settings.maxStale) / 3,
      onLost: () => this.close(),
      onHeard: () => {
        // Questions sent before may have been answered before a change that was missed.
        this.clear();
        this.hears = true;
      },
    };
  }

  /**
   * A value that is young enough and still holds, or null. The value is the cache's own: copy it.
   *
   * @param at What `holds` of the settings is asked about. Default 0.
   */
  find(key: string, at = 0): V | null {
    if (!this.hears) {
      this.counted.bypassed += 1;
      return null;
    }
    const entry = this.entries.peek(key);
    const now = this.now();
    if (entry === undefined || !this.isFresh(entry.sentAt, now) || this.settings.holds?.(entry.value, at) === false) {
      this.counted.miss += 1;
      return null;
    }
    this.counted.hit += 1;
    this.noteUse(key, entry, now.monotonic);
    return entry.value;
  }

  /** The values of a group, to be changed with what they stand for. */
  valuesOf(group: string): V[] {
    return [...(this.keysOf.get(group) ?? [])].flatMap((key) => this.entries.peek(key)?.value ?? []);
  }

  /** Asks, and caches what `valueOf` returns for the answer, unless that is null. */
  async read<T>(key: string, group: string, ask: () => Promise<T>, valueOf: (answer: T) => V | null): Promise<T> {
    if (!this.hears) return ask();
    const question = this.begin(group);
    try {
      const answer = await ask();
      if (question.valid && this.hears) this.enter(key, question, valueOf(answer));
      return answer;
    } finally {
      this.end(question);
    }
  }

  /**
   * Runs a change of the group by this instance: what is known of it is void from the beginning of the change, and again at its end,
   * as an answer that came in between may be from before.
   */
  async change<T>(group: string, run: () => Promise<T>): Promise<T> {
    this.invalidate(group);
    try {
      return await run();
    } finally {
      this.invalidate(group);
    }
  }

  /** Nothing that is known of the group, or was asked before, counts any more. */
  invalidate(group: string): void {
    for (const question of this.asked.get(group) ?? []) question.valid = false;
    this.asked.delete(group);
    const keys = this.keysOf.get(group);
    if (keys) for (const key of [...keys]) this.entries.delete(key);
  }

  /** Like `invalidate`, for everything. */
  clear(): void {
    for (const questions of this.asked.values()) for (const question of questions) question.valid = false;
    this.asked.clear();
    this.entries.clear();
    this.keysOf.clear();
  }

  /** Empties the cache, and keeps it out of use until changes are heard again. */
  close(): void {
    this.hears = false;
    this.clear();
  }

  private enter(key: string, { group, sentAt }: Question, value: V | null): void {
    const known = this.entries.peek(key);
    // A slower answer to an earlier question is the older one.
    if (value === null || (known && known.sentAt.monotonic > sentAt.monotonic)) return;
    this.entries.set(key, { value, group, sentAt, usedAt: -Infinity });
    // The entry was too large, or was evicted at once.
    if (!this.entries.has(key)) return;
    const keys = this.keysOf.get(group) ?? new Set<string>();
    this.keysOf.set(group, keys.add(key));
  }

  /** So that the least recently used entry is evicted. At most once a second: it takes as long as the look-up. */
  private noteUse(key: string, entry: Entry<V>, now: number): void {
    if (now - entry.usedAt < USE_NOTED) return;
    entry.usedAt = now;
    this.entries.get(key);
  }

  private forget(group: string, key: string): void {
    const keys = this.keysOf.get(group);
    keys?.delete(key);
    if (keys?.size === 0) this.keysOf.delete(group);
  }

  private begin(group: string): Question {
    const question = { group, sentAt: this.now(), valid: true };
    const questions = this.asked.get(group) ?? new Set<Question>();
    this.asked.set(group, questions.add(question));
    return question;
  }

  private end(question: Question): void {
    const questions = this.asked.get(question.group);
    questions?.delete(question);
    if (questions?.size === 0) this.asked.delete(question.group);
  }

  /** By the clock on which more time has passed. */
  private isFresh({ monotonic, wall }: Instant, now: Instant): boolean {
    const { maxStale } = this.settings;
    return now.monotonic - monotonic < maxStale && now.wall - wall < maxStale;
  }

  private now(): Instant {
    return { monotonic: this.clock.monotonic(), wall: this.clock.wall() };
  }
}
