export type { AliasedStoreOptions as SessionFastifyStoreOptions } from '../aliased/adapters.js';
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
export { SessionFastifyStore, type DamagedFastifySession } from './session-fastify-store.js';
