import { isDeepStrictEqual } from 'node:util';
import { InvalidArgumentError } from '../model/errors.js';
import type { Session, SessionData } from '../model/session.js';
import type { ForeignCookie, ForeignSession, SessionSerializer } from '../options/aliased-session-options.js';

/** Where the text of a serializer is kept among a session's data. */
const TEXT = '$serialized';

/** The content of a session at one instant: what a request was handed, or handed back. */
export interface AliasedContent {
  /** Nobody else holds a reference to it. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** What a serializer made of it, or null where it is kept as it is. */
  readonly text: string | null;
}

/** Which keys one content has that another has not, or has otherwise. */
export interface ContentChange {
  readonly set: Readonly<Record<string, unknown>>;
  readonly removed: readonly string[];
}

/** What stands in the store and is no session. */
export class DamagedContent {
  constructor(readonly detail: string) {}
}

/** Turns sessions of a framework into a session's data and back. */
export class ContentCodec {
  constructor(private readonly serializer: SessionSerializer | null) {}

  /** Whether data is kept as it is, key by key. */
  get isPlain(): boolean {
    return this.serializer === null;
  }

  /**
   * A copy of a session as a framework holds it, without what JSON (or the serializer) cannot keep.
   *
   * @throws {InvalidArgumentError}
   */
  async of(session: ForeignSession): Promise<AliasedContent> {
    const plain = { ...session };
    let text: string;
    try {
      text = (this.serializer ?? JSON).stringify(plain);
    } catch (error) {
      throw new InvalidArgumentError(
        'session',
        `cannot be serialized: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    const content = await this.fromText(text);
    if (content instanceof DamagedContent) throw new InvalidArgumentError('session', content.detail);
    return content;
  }

  /** The content of data that a store kept. */
  async fromData(data: SessionData): Promise<AliasedContent | DamagedContent> {
    const text = data[TEXT];
    if (text === undefined) return { fields: data, text: null };
    return typeof text === 'string' ? this.fromText(text) : new DamagedContent('the serialized session is not text');
  }

  /** The content of text that the serializer wrote, here or in another library. */
  async fromText(text: string): Promise<AliasedContent | DamagedContent> {
    let parsed: unknown;
    try {
      parsed = await (this.serializer ?? JSON).parse(text);
    } catch {
      return new DamagedContent('the session cannot be parsed');
    }
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
      return new DamagedContent('the session is not an object');
    return { fields: parsed as Record<string, unknown>, text: this.serializer ? text : null };
  }

  /** The session to hand out: a copy, whose cookie ends in `remaining` ms (null: as it says) where it has an end. */
  async toSession(content: AliasedContent, remaining: number | null): Promise<ForeignSession> {
    const copy =
      content.text === null ? { fields: structuredClone(content.fields) } : await this.fromText(content.text);
    const session: ForeignSession = copy instanceof DamagedContent ? {} : { ...copy.fields };
    const { cookie } = session;
    if (remaining === null || typeof cookie !== 'object' || cookie === null || !hasEnd(cookie)) return session;
    const end = Date.now() + remaining;
    // As it was written, unless accesses have moved it since.
    const isMoved = Math.abs(new Date(cookie.expires as string).getTime() - end) > 1_000;
    return isMoved ? { ...session, cookie: { ...cookie, expires: new Date(end).toISOString() } } : session;
  }

  /** The data to keep of a content. */
  async toData({ fields }: AliasedContent): Promise<SessionData> {
    if (!this.serializer) return { ...fields };
    const cookie: unknown = JSON.parse(JSON.stringify(fields['cookie'] ?? null));
    return { cookie, [TEXT]: this.serializer.stringify({ ...fields }) };
  }
}

/** What a writer changed: `base` is what it had read. The cookie counts as changed by its settings, not by its end, which moves by itself. */
export function changeBetween(base: AliasedContent, mine: AliasedContent): ContentChange {
  const set: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(mine.fields)) {
    if (!Object.hasOwn(base.fields, key) || !isSame(key, base.fields[key], value)) set[key] = value;
  }
  return { set, removed: Object.keys(base.fields).filter((key) => !Object.hasOwn(mine.fields, key)) };
}

/** A content after a change. */
export function changed(content: AliasedContent, { set, removed }: ContentChange): AliasedContent {
  const fields = { ...content.fields, ...set };
  for (const key of removed) delete fields[key];
  return { fields, text: null };
}

export function isEmpty({ set, removed }: ContentChange): boolean {
  return removed.length === 0 && Object.keys(set).length === 0;
}

/** How much longer a session lives, ms. */
export function remainingOf({ lastAccess, idleTimeout, expiresAt }: Session, now: number): number {
  return Math.min(lastAccess + idleTimeout, expiresAt) - now;
}

function isSame(key: string, before: unknown, after: unknown): boolean {
  if (key !== 'cookie') return isDeepStrictEqual(before, after);
  return isDeepStrictEqual(settingsOf(before), settingsOf(after));
}

function settingsOf(cookie: unknown): unknown {
  if (typeof cookie !== 'object' || cookie === null) return cookie;
  const { expires: _moving, ...settings } = cookie as ForeignCookie;
  return { ...settings, ends: hasEnd(cookie) };
}

function hasEnd({ expires }: ForeignCookie): boolean {
  return expires !== undefined && expires !== null && typeof expires !== 'boolean';
}
