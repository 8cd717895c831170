import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../../model/error-text.js';
import { InvalidArgumentError } from '../../model/errors.js';
import type { Session, SessionData } from '../../model/session.js';
import type { ForeignCookie, ForeignSession, SessionSerializer } from '../../options/framework-session-options.js';
import { expiryOf, hasExpiry } from './session-lifetime.js';

/** The key of a session's data that holds the serializer's text. */
const TEXT = '$serialized';

/** The content of a session at one instant: as a request read it, or as the request passes it back. */
export interface SessionContent {
  /** A copy that nothing else refers to. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** The serializer's text, or null if the fields are stored as they are. */
  readonly text: string | null;
}

/** The difference between two contents, key by key at the top level. */
export interface ContentChange {
  readonly set: Readonly<Record<string, unknown>>;
  readonly removed: readonly string[];
}

/** A stored value that is not a session. */
export class DamagedContent {
  constructor(readonly detail: string) {}
}

/** Converts a framework's session to the data of a stored session and back. */
export class ContentCodec {
  constructor(private readonly serializer: SessionSerializer | null) {}

  /** Whether fields are stored one by one, without a serializer. */
  get isPlain(): boolean {
    return this.serializer === null;
  }

  /**
   * Copies a framework's session. Values that JSON (or the serializer) cannot represent are dropped.
   *
   * @throws {InvalidArgumentError}
   */
  async of(session: ForeignSession): Promise<SessionContent> {
    const plain = { ...session };
    let text: string;
    try {
      text = (this.serializer ?? JSON).stringify(plain);
    } catch (error) {
      throw new InvalidArgumentError('session', `cannot be serialized: ${messageOf(error)}`);
    }
    const content = await this.fromText(text);
    if (content instanceof DamagedContent) throw new InvalidArgumentError('session', content.detail);
    return content;
  }

  /** Reads the data of a stored session. */
  async fromData(data: SessionData): Promise<SessionContent | DamagedContent> {
    const text = data[TEXT];
    if (text === undefined) return { fields: data, text: null };
    return typeof text === 'string' ? this.fromText(text) : new DamagedContent('the serialized session is not text');
  }

  /** Parses text that the serializer wrote, in this library or in an earlier one. */
  async fromText(text: string): Promise<SessionContent | DamagedContent> {
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

  /**
   * Copies a content for a framework. A cookie that expires gets the session's actual expiry, `remaining` ms from now,
   * unless it is within `tolerance` ms of the stored one. `remaining` null keeps the stored one.
   */
  async toSession(
    content: SessionContent,
    { remaining, tolerance }: { remaining: number | null; tolerance: number },
  ): Promise<ForeignSession> {
    const copy =
      content.text === null ? { fields: structuredClone(content.fields) } : await this.fromText(content.text);
    const session: ForeignSession = copy instanceof DamagedContent ? {} : { ...copy.fields };
    const { cookie } = session;
    if (remaining === null || !hasExpiry(cookie)) return session;
    const expires = Date.now() + remaining;
    if (Math.abs(expiryOf(cookie) - expires) <= tolerance) return session;
    return { ...session, cookie: { ...cookie, expires: new Date(expires).toISOString() } };
  }

  /** The data to store for a content. */
  async toData({ fields }: SessionContent): Promise<SessionData> {
    if (!this.serializer) return { ...fields };
    const cookie: unknown = JSON.parse(JSON.stringify(fields['cookie'] ?? null));
    return { cookie, [TEXT]: this.serializer.stringify({ ...fields }) };
  }
}

/**
 * What a request changed since it read `base`. A later `cookie.expires` is no change: it moves with each access, and the
 * session's own deadline records it.
 */
export function changeBetween(base: SessionContent, mine: SessionContent): ContentChange {
  const set: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(mine.fields)) {
    if (!Object.hasOwn(base.fields, key) || !isSame(key, base.fields[key], value)) set[key] = value;
  }
  return { set, removed: Object.keys(base.fields).filter((key) => !Object.hasOwn(mine.fields, key)) };
}

/** A content with a change applied. */
export function applyChange(content: SessionContent, { set, removed }: ContentChange): SessionContent {
  const fields = { ...content.fields, ...set };
  for (const key of removed) delete fields[key];
  return { fields, text: null };
}

export function isEmptyChange({ set, removed }: ContentChange): boolean {
  return removed.length === 0 && Object.keys(set).length === 0;
}

/** Time until a session's deadline, ms. */
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
  return { ...settings, hasExpiry: hasExpiry(cookie) };
}
