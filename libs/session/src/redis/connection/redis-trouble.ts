// Not from the entry of @nestjs/common, which loads all of Nest: a command line must start fast. Decorators need the first line.
import 'reflect-metadata';
import { Logger } from '@nestjs/common/services/logger.service.js';
import { messageOf } from '../../model/error-text.js';
import { StoreUnavailableError } from '../../model/errors.js';

/** Each kind of problem is logged at most once in this time, ms, so that an outage does not flood the log. */
const QUIET_FOR = 10_000;

/** A key of ours holds a value of another type. */
export class ForeignKeyError extends StoreUnavailableError {}

/**
 * Turns errors of ioredis and Redis into the one error that callers handle, and limits how often each kind is logged.
 * Host names and keys appear in the log but not in the error's message.
 */
export class RedisTrouble {
  private readonly logger = new Logger('RedisSessionStore');
  private readonly lastSaid = new Map<string, number>();

  /** The error to throw for a rejected command. */
  unavailable(error: unknown): StoreUnavailableError {
    if (error instanceof StoreUnavailableError) return error;
    const message = messageOf(error);
    this.say(kindOf(message), `Redis refused or did not answer: ${message}`);
    // Not the error itself: ioredis attaches the command and its arguments, so logging it would log a record.
    return new StoreUnavailableError(undefined, { cause: new Error(message) });
  }

  /** Logs that a server does not answer; its name is empty if there is only one. */
  silent(name: string): void {
    this.say(
      'connection',
      `Redis${name === '' ? '' : ` at ${name}`} does not answer: requests are refused at once (503) until it does. Check the server and the network.`,
    );
  }

  /** Logs that the server answers again. */
  over(name: string, outage: number): void {
    this.lastSaid.delete('connection');
    this.logger.log(`Redis${name === '' ? '' : ` at ${name}`} answers again, after ${(outage / 1000).toFixed(1)} s.`);
  }

  /** The error to throw for a key that holds another type. Logged at a limited rate. */
  foreignKey(names: string): ForeignKeyError {
    this.say(
      'foreign key',
      `${names} holds a value that is not a session record. Delete it, or set the option "keyPrefix" to an unused value.`,
    );
    return new ForeignKeyError();
  }

  /** Logs a line without a limit. */
  report(line: string): void {
    this.logger.error(line);
  }

  warn(line: string): void {
    this.logger.warn(line);
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

/** Whether the command got no answer because the connection broke or is closed. */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof StoreUnavailableError) return false;
  return error.name === 'MaxRetriesPerRequestError' || CONNECTION_ERROR.test(error.message);
}

/** Error messages of ioredis and the network for a lost connection. */
const CONNECTION_ERROR =
  /^(Connection is closed|Stream isn't writeable|Command aborted due to connection close|Cluster isn't ready|None of startup nodes|Socket timeout|Failed to refresh slots cache|Cluster is ended|All sentinels are unreachable|(read|write|connect|getaddrinfo) E[A-Z_]+)/;

/** Whether a replica refused a write. Redis before 7 puts the name of the error after the name of the script. */
export function isReadOnly(error: unknown): boolean {
  return error instanceof Error && /\bREADONLY\b/.test(error.message);
}

/**
 * The name of a Redis error (`OOM`, `READONLY`, …; Redis 6 puts it later in the line for errors in scripts), or the
 * beginning.
 */
function kindOf(message: string): string {
  if (CONNECTION_ERROR.test(message)) return 'connection';
  return /-([A-Z]{3,})\b/.exec(message)?.[1] ?? /^[A-Z]{3,}\b/.exec(message)?.[0] ?? message.slice(0, 24);
}

/** Whether the key holds another type of value. */
export function isWrongType(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('WRONGTYPE');
}
