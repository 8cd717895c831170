export { guardRefusing, guardSignedInAs } from './guard-stubs.js';
export { useMemorySessions, MemorySessions, type MemorySessionsOptions } from './memory-sessions.js';
export { sessionContext, type SessionContext, type SessionContextOptions } from './session-context.js';
export { signInAs, type SignInAsOptions, type SignedInClient } from './sign-in-as.js';
export type { TestAgent } from './test-agent.js';
export type { TestUser } from './test-user.js';
