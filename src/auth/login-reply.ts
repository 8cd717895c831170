import type { SignedIn } from 'nestjs-sessions';
import { viewOf, type SessionView } from '../sessions/session-view.js';

/** What a sign-in, a step-up and a refresh answer. A browser may ignore the tokens: it has the cookie. */
export interface LoginReply {
  accessToken: string | null;
  refreshToken: string | null;
  tokenType: 'Bearer';
  /** Seconds for which the access token is good. */
  expiresIn: number;
  session: SessionView;
}

export function loginReply({ session, tokens }: SignedIn): LoginReply {
  return {
    accessToken: tokens?.accessToken ?? null,
    refreshToken: tokens?.refreshToken ?? null,
    tokenType: 'Bearer',
    expiresIn: tokens?.expiresIn ?? 0,
    session: viewOf(session, session.id),
  };
}
