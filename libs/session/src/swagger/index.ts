export { ApiSession, type ApiSessionOptions } from './api-session.js';
export { ApiSessionErrors, type ApiSessionErrorOptions } from './api-session-errors.js';
export type { ApiErrorBody } from './error-examples.js';
export { addSessionAuth } from './add-session-auth.js';
