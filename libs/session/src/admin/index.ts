export { openSessionAdmin, type OpenSessionAdmin, type SessionAdminConnection } from './open-session-admin.js';
export { describeToken, type TokenDescription, type TokenKind, type TokenStanding } from './describe-token.js';
export { logEntryOf, type EventLogEntry } from '../model/event-log.js';
export type { LastingKeys } from '../redis/lasting-keys.js';
export type { ServerDiagnosis, ServersDiagnosis } from '../redis/connection/server-diagnosis.js';
export type { ServerFinding, ServerReport } from '../redis/connection/server-report.js';
export {
  SessionAdministration,
  type AdminAction,
  type AdminProgress,
  type LongOperationOptions,
  type SearchOptions,
  type SessionPage,
} from '../sessions/session-administration.js';
export type { SessionFilter } from '../sessions/session-filter.js';
