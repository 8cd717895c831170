import {
  endedError,
  HTTP_STATUS,
  InvalidArgumentError,
  SessionConflictError,
  SessionError,
  SessionLimitError,
  SessionTooLargeError,
  StoreUnavailableError,
} from '../../src/model/errors.js';
import { END_REASONS } from '../../src/model/session.js';

describe('errors', () => {
  it.each([
    [new StoreUnavailableError(), 'store_unavailable', 503],
    [new SessionLimitError(5, []), 'session_limit_reached', 409],
    [new SessionConflictError(), 'session_conflict', 409],
    [new SessionTooLargeError(2, 1), 'session_too_large', 413],
    [new InvalidArgumentError('userId', 'must be text'), 'invalid_argument', 400],
  ])('%s has a stable code, a status, and a name of its own', (error, code, status) => {
    expect(error).toBeInstanceOf(SessionError);
    expect(error).toMatchObject({ code, statusCode: status, name: error.constructor.name });
  });

  it.each(END_REASONS)('an end by %s tells the client so, with 401 and nothing secret', (reason) => {
    const error = endedError(reason);
    expect(error.statusCode).toBe(401);
    expect(error.message).toBe(`The session ended (${reason}). Sign in again.`);
  });

  it('never answer a store that is down with 401 or 200 (ASVS 16.5.3)', () => {
    expect(HTTP_STATUS.store_unavailable).toBe(503);
    for (const status of Object.values(HTTP_STATUS)) expect(status).toBeGreaterThanOrEqual(400);
  });
});
