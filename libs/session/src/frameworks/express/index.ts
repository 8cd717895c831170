export { SessionExpressStore, type DamagedExpressSession, type ListedExpressSession } from './session-express-store.js';
export type { FrameworkStoreOptions as SessionExpressStoreOptions } from '../engine/framework-store-options.js';
export type {
  FrameworkSessionOptions,
  ForeignCookie,
  ForeignSession,
  SessionOwner,
  SessionSerializer,
} from '../../options/framework-session-options.js';
export { LegacySessions, type LegacySession } from '../../ports/legacy-sessions.js';
export { SessionAliases, type AliasState, type PointRequest } from '../../ports/session-aliases.js';
export { MemorySessionAliases, type MemorySessionAliasesOptions } from '../../memory/memory-session-aliases.js';
export { saveBeforeAnswer } from './save-before-answer.js';
export { sessionErrorHandler } from './session-error-handler.js';
