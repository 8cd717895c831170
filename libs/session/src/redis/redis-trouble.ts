import { Logger } from '@nestjs/common';
import { StoreUnavailableError } from '../model/errors.js';

/** Said at most once in this time for each kind of trouble, ms: an outage must not fill the disk with logs. */
const QUIET_FOR = 10_000;

/** A key of ours holds a value of another type. */
export class ForeignKeyError extends StoreUnavailableError {}

/**
 * Turns what ioredis and Redis complain about into the one error that callers handle, and logs each kind of trouble once
 * in a while. Host names and keys stay in the log and out of the error's message.
 */
export class RedisTrouble {
  private readonly logger = new Logger('RedisSessionStore');
  private readonly lastSaid = new Map<string, number>();

  /** The error to throw for what a command rejected with. */
  unavailable(error: unknown): StoreUnavailableError {
    if (error instanceof StoreUnavailableError) return error;
    const message = error instanceof Error ? error.message : String(error);
    this.say(kindOf(message), `Redis refused or did not answer: ${message}`);
    // Not the error itself: ioredis hangs the command with its arguments on it, and whoever logs it would log a record.
    return new StoreUnavailableError(undefined, { cause: new Error(message) });
  }

  /** The error to throw where a key holds something else, said once in a while. */
  foreignKey(names: string): ForeignKeyError {
    this.say(
      'foreign key',
      `${names} holds something that is not a session record. Delete it, or give the option "keyPrefix" a value of its own.`,
    );
    return new ForeignKeyError();
  }

  /** Logs a line, unless this kind was logged a moment ago. */
  say(kind: string, line: string): void {
    const now = performance.now();
    const last = this.lastSaid.get(kind);
    if (last !== undefined && now - last < QUIET_FOR) return;
    this.lastSaid.set(kind, now);
    this.logger.error(line.replace(/[\r\n]+/g, ' '));
  }
}

/** The name of a Redis error (`OOM`, `READONLY`, …; within a script Redis 6 says it later in the line), or the beginning. */
function kindOf(message: string): string {
  return /-([A-Z]{3,})\b/.exec(message)?.[1] ?? /^[A-Z]{3,}\b/.exec(message)?.[0] ?? message.slice(0, 24);
}

/** Whether Redis found another type of value at the key. */
export function isWrongType(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('WRONGTYPE');
}
