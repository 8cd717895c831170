import { messageOf } from '../../model/error-text.js';

/** Connections that end before an answer, after which waiting is not expected to help. */
const CLOSED_UNANSWERED = 3;

/**
 * Why waiting for the first connection cannot help, with the fix; null if it may. A refused connection may: the server
 * may be starting.
 *
 * @param closed how many connections were opened and ended before the server was ready.
 */
export function bootObstacle(error: unknown, closed = 0): string | null {
  const message = error === null ? '' : messageOf(error);
  if (/WRONGPASS|NOAUTH|invalid password|without any password configured/.test(message))
    return `Redis refuses the user name or the password (${message}). Correct them in the option "redis".`;
  if (/NOPERM|No permissions|has no permissions/.test(message))
    return `The Redis user lacks a right (${message}). Grant the rights of docs/reliability.md with ACL SETUSER.`;
  if (/wrong version number|packet length too long|SSL routines/i.test(message))
    return `The server does not answer in TLS (${message}). Use redis:// instead of rediss://, or its TLS port.`;
  if (/Protocol error/.test(message) || (closed >= CLOSED_UNANSWERED && !/ECONNREFUSED/.test(message)))
    return 'The server ends each connection before it answers. If it expects TLS, use rediss:// instead of redis://.';
  return null;
}
