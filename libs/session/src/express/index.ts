export { SessionExpressStore, type DamagedExpressSession, type ListedExpressSession } from './session-express-store.js';
export type { AliasedStoreOptions as SessionExpressStoreOptions } from '../aliased/adapters.js';
export type {
  AliasedSessionOptions,
  ForeignCookie,
  ForeignSession,
  SessionOwner,
  SessionSerializer,
} from '../options/aliased-session-options.js';
export { LegacySessions, type LegacySession } from '../ports/legacy-sessions.js';
export { SessionAliases, type AliasState, type PointRequest } from '../ports/session-aliases.js';
export { MemorySessionAliases, type MemorySessionAliasesOptions } from '../memory/memory-session-aliases.js';
export { saveBeforeAnswer } from './save-before-answer.js';
export { sessionErrorHandler } from './session-error-handler.js';
