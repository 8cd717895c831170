export type { FrameworkStoreOptions as SessionFastifyStoreOptions } from '../engine/framework-store-options.js';
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
export { SessionFastifyStore, type DamagedFastifySession } from './session-fastify-store.js';
