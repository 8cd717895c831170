import { SessionConflictError } from '../model/errors.js';
import type { SessionData } from '../model/session.js';
import type { SessionStore } from '../ports/session-store.js';
import {
  changed,
  DamagedContent,
  isEmpty,
  type AliasedContent,
  type ContentChange,
  type ContentCodec,
} from './session-content.js';

/** How often a serialized session that others write meanwhile is read again. */
const ATTEMPTS = 16;

class ReadAgain extends Error {}

/** Writes content to a session that is there: all of it, or a change and nothing else. */
export class ContentWriter {
  constructor(
    private readonly store: SessionStore,
    private readonly codec: ContentCodec,
  ) {}

  /**
   * False where the session is gone; an empty change is not written, and so not found out about.
   *
   * @throws {SessionConflictError}
   */
  async write(sessionId: string, what: AliasedContent | ContentChange): Promise<boolean> {
    if ('fields' in what) {
      const data = await this.codec.toData(what);
      return (
        (await this.store.update(sessionId, (current) => ({ data: { ...nothingOf(current.data), ...data } }))) !== null
      );
    }
    if (isEmpty(what)) return true;
    return this.codec.isPlain ? this.merge(sessionId, what) : this.mergeText(sessionId, what);
  }

  private async merge(sessionId: string, { set, removed }: ContentChange): Promise<boolean> {
    const gone = Object.fromEntries(removed.map((key) => [key, undefined]));
    return (await this.store.update(sessionId, { data: { ...gone, ...set } })) !== null;
  }

  /** A serializer may take its time, and the store's function may not: it only looks whether what was read still stands. */
  private async mergeText(sessionId: string, change: ContentChange): Promise<boolean> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const before = await this.store.get(sessionId);
      if (!before) return false;
      const content = await this.codec.fromData(before.data);
      if (content instanceof DamagedContent) return false;
      const data = await this.codec.toData(changed(content, change));
      const seen = JSON.stringify(before.data);
      try {
        const after = await this.store.update(sessionId, (current) => {
          if (JSON.stringify(current.data) !== seen) throw new ReadAgain();
          return { data: { ...nothingOf(current.data), ...data } };
        });
        return after !== null;
      } catch (error) {
        if (!(error instanceof ReadAgain)) throw error;
      }
    }
    throw new SessionConflictError();
  }
}

/** A patch that removes everything. */
function nothingOf(data: SessionData): SessionData {
  return Object.fromEntries(Object.keys(data).map((key) => [key, undefined]));
}
