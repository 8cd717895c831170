import type { ApiErrorBody } from 'nestjs-sessions/swagger';

// The errors of the sample's own, as its responses have them.

export const BAD_BODY: ApiErrorBody = {
  statusCode: 400,
  error: 'Bad Request',
  message: ['password: must be text'],
};

export const WRONG_CREDENTIALS: ApiErrorBody = {
  statusCode: 401,
  error: 'Unauthorized',
  code: 'wrong_credentials',
  message: 'E-mail address or password is wrong.',
};

export const WRONG_CODE: ApiErrorBody = {
  statusCode: 401,
  error: 'Unauthorized',
  code: 'wrong_code',
  message: 'The code is wrong, or was used already.',
};

export const TOO_MANY_FAILURES: ApiErrorBody = {
  statusCode: 429,
  error: 'Too Many Requests',
  code: 'too_many_failures',
  message: 'Too many failed attempts. Try again in 42 seconds.',
};

export const SIGN_IN_BUSY: ApiErrorBody = {
  statusCode: 503,
  error: 'Service Unavailable',
  code: 'sign_in_busy',
  message: 'Too many people are signing in at the moment. Try again in a few seconds.',
};

export const notFound = (message: string): ApiErrorBody => ({ statusCode: 404, error: 'Not Found', message });

export const UNAUTHORIZED: ApiErrorBody = { statusCode: 401, error: 'Unauthorized', message: 'Unauthorized' };
