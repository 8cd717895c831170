import type { Session } from 'nestjs-sessions';
import { viewOf, type SessionView } from '../sessions/session-view.js';

/** What a sign-in and a step-up answer. */
export interface LoginReply {
  session: SessionView;
}

export function loginReply(session: Session): LoginReply {
  return { session: viewOf(session, session.id) };
}
