import type { SignedIn } from 'nestjs-sessions';
import { viewOf, type SessionView } from '../sessions/session-view.js';

/** The response to a sign-in, a step-up and a refresh. A browser may ignore the tokens, because it has the cookie. */
export interface LoginReply {
  accessToken: string | null;
  refreshToken: string | null;
  tokenType: 'Bearer' | 'DPoP';
  /** Lifetime of the access token in seconds. */
  expiresIn: number;
  session: SessionView;
}

export function loginReply({ session, tokens }: SignedIn): LoginReply {
  return {
    accessToken: tokens?.accessToken ?? null,
    refreshToken: tokens?.refreshToken ?? null,
    tokenType: tokens?.tokenType ?? 'Bearer',
    expiresIn: tokens?.expiresIn ?? 0,
    session: viewOf(session, session.id),
  };
}
