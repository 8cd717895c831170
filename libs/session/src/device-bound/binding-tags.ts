import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto';
import { isSessionId } from '../model/ids.js';
import { tenantPrefix } from '../model/tenant.js';

/** What a text is good for. Each purpose signs other bytes, so that none of them passes for another. */
type Purpose = 'cookie' | 'registration' | 'refresh' | 'identifier';

const STAMPED = /^([1-9a-z][0-9a-z]{0,9})\.([A-Za-z0-9_-]{43})$/;
const IDENTIFIER = /^([A-Za-z0-9_-]{32})\.([A-Za-z0-9_-]{43})$/;

/**
 * Signs and reads what device-bound sessions hand out: challenges, bound cookies and session identifiers. Nothing of it is kept
 * anywhere. The first key signs, all recognise.
 */
export class BindingTags {
  constructor(
    private readonly keys: readonly KeyObject[],
    private readonly tenantOf: () => string,
  ) {}

  /** `<instant>.<tag>`, for these parts. `at` is in epoch ms. */
  stamp(purpose: Exclude<Purpose, 'identifier'>, parts: readonly string[], at: number): string {
    const instant = at.toString(36);
    return `${instant}.${this.sign([purpose, ...parts, instant])}`;
  }

  /** The instant of a stamp that we signed for this purpose and these parts, else null. */
  instantOf(purpose: Exclude<Purpose, 'identifier'>, parts: readonly string[], text: string): number | null {
    const [, instant, tag] = STAMPED.exec(text) ?? [];
    if (instant === undefined || tag === undefined) return null;
    return this.isOurs([purpose, ...parts, instant], tag) ? parseInt(instant, 36) : null;
  }

  /** How browsers name a session: its id with a tag, so that nobody makes us look for sessions by guessing. */
  identifierOf(sessionId: string): string {
    return `${sessionId}.${this.sign(['identifier', sessionId])}`;
  }

  /** The session of an identifier that we signed, else null. */
  sessionOf(identifier: string): string | null {
    const [, sessionId, tag] = IDENTIFIER.exec(identifier) ?? [];
    if (tag === undefined || !isSessionId(sessionId)) return null;
    return this.isOurs(['identifier', sessionId], tag) ? sessionId : null;
  }

  private sign(parts: readonly string[]): string {
    const [key] = this.keys;
    if (!key) throw new Error('there is a key for every secret: checked when the options were resolved');
    return this.digest(key, parts).toString('base64url');
  }

  private isOurs(parts: readonly string[], tag: string): boolean {
    const given = Buffer.from(tag, 'base64url');
    return this.keys.some((key) => timingSafeEqual(this.digest(key, parts), given));
  }

  /** No part holds a line break, so that two lists never give the same bytes. */
  private digest(key: KeyObject, parts: readonly string[]): Buffer {
    return createHmac('sha256', key).update(tenantPrefix(this.tenantOf())).update(parts.join('\n')).digest();
  }
}
