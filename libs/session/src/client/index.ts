/** The session of a page in a browser. Has no dependency and runs in browsers alone. */
export {
  SessionClient,
  type AccessTokenReply,
  type ProofPrompt,
  type SessionClientOptions,
  type SessionState,
} from './session-client.js';
export type { Refusal, SessionEnd } from './refusal.js';
