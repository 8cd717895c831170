import { SessionConflictError } from '../../model/errors.js';
import type { SessionData } from '../../model/session.js';
import type { SessionStore } from '../../ports/session-store.js';
import {
  applyChange,
  DamagedContent,
  isEmptyChange,
  type SessionContent,
  type ContentChange,
  type ContentCodec,
} from './session-content.js';

/** How often a serialized session is read again because others changed it. */
const ATTEMPTS = 16;

class ReadAgain extends Error {}

/** Writes content to an existing session: the whole content, or only a change. */
export class SessionContentWriter {
  constructor(
    private readonly store: SessionStore,
    private readonly codec: ContentCodec,
  ) {}

  /**
   * False if the session is gone. An empty change writes nothing and always returns true.
   *
   * @throws {SessionConflictError}
   */
  async write(sessionId: string, what: SessionContent | ContentChange): Promise<boolean> {
    if ('fields' in what) {
      const data = await this.codec.toData(what);
      return (
        (await this.store.update(sessionId, (current) => ({ data: { ...removalOf(current.data), ...data } }))) !== null
      );
    }
    if (isEmptyChange(what)) return true;
    return this.codec.isPlain ? this.merge(sessionId, what) : this.mergeText(sessionId, what);
  }

  private async merge(sessionId: string, { set, removed }: ContentChange): Promise<boolean> {
    const gone = Object.fromEntries(removed.map((key) => [key, undefined]));
    return (await this.store.update(sessionId, { data: { ...gone, ...set } })) !== null;
  }

  /** A serializer may be asynchronous, the store's callback may not: it only checks that the text is still the one that was read. */
  private async mergeText(sessionId: string, change: ContentChange): Promise<boolean> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const before = await this.store.get(sessionId);
      if (!before) return false;
      const content = await this.codec.fromData(before.data);
      if (content instanceof DamagedContent) return false;
      const data = await this.codec.toData(applyChange(content, change));
      const seen = JSON.stringify(before.data);
      try {
        const after = await this.store.update(sessionId, (current) => {
          if (JSON.stringify(current.data) !== seen) throw new ReadAgain();
          return { data: { ...removalOf(current.data), ...data } };
        });
        return after !== null;
      } catch (error) {
        if (!(error instanceof ReadAgain)) throw error;
      }
    }
    throw new SessionConflictError();
  }
}

/** A patch that removes every key. */
function removalOf(data: SessionData): SessionData {
  return Object.fromEntries(Object.keys(data).map((key) => [key, undefined]));
}
