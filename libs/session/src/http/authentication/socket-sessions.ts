import type { SessionError } from '../../model/errors.js';
import type { LiveSession, CallOptions } from '../../ports/session-store.js';
import type { SessionAuthenticator } from '../../sessions/session-authenticator.js';
import { invalidToken } from '../../tokens/authentication-errors.js';
import type { AuthenticatedRequest } from './request-context.js';
import type { Transport } from '../authorization/route-rules.js';

interface SocketSession {
  readonly sessionId: string;
  readonly transport: Transport;
  /** Epoch ms; undefined for a cookie. */
  readonly expiresAt: number | undefined;
  /** Of what was known when the socket was opened: an earlier secret or access token is dead. */
  readonly tokensFrom: number;
  readonly mismatch: SessionError | null;
  readonly binding?: AuthenticatedRequest['binding'];
  readonly jkt?: string | undefined;
}

/**
 * By which session each open socket was let in. A socket cannot take a new cookie: the one that opened it is replaced behind its back,
 * and presenting it again would look like the reuse of a stolen one. So the cookie is looked at once, and the session from then on.
 */
export class SocketSessions {
  private readonly known = new WeakMap<object, SocketSession>();

  constructor(private readonly sessions: SessionAuthenticator) {}

  /** @param node The request that opened the socket. */
  remember(node: object, { live, transport, expiresAt, mismatch, binding }: AuthenticatedRequest): void {
    const { session, tokensFrom } = live;
    this.known.set(node, { sessionId: session.id, transport, expiresAt, tokensFrom, mismatch, binding });
  }

  /** For a socket whose client showed a ticket in place of a cookie or an access token. */
  admit(node: object, ticket: Omit<SocketSession, 'mismatch' | 'binding'>): void {
    this.known.set(node, { ...ticket, mismatch: null });
  }

  /**
   * What the socket was let in by, as it is now; null where it was not let in by a session yet. One read.
   *
   * @throws {AuthenticationError} where it ended, its secrets were replaced, or the access token has expired.
   */
  async find(node: object, { wait }: CallOptions): Promise<AuthenticatedRequest | null> {
    const socket = this.known.get(node);
    if (!socket) return null;
    const live = await this.sessions.requireLive(socket.sessionId, wait && { wait });
    const { transport, expiresAt, mismatch, binding, jkt } = socket;
    if (expiresAt !== undefined && expiresAt <= live.now) throw invalidToken('expired');
    if (live.tokensFrom > socket.tokensFrom) throw invalidToken('replaced');
    return authenticated(live, { transport, mismatch, expiresAt, binding, jkt });
  }
}

function authenticated(
  live: LiveSession,
  { transport, mismatch, expiresAt, binding, jkt }: Omit<SocketSession, 'sessionId' | 'tokensFrom'>,
): AuthenticatedRequest {
  return {
    state: 'authenticated',
    transport,
    live,
    superseded: false,
    presented: null,
    mismatch,
    binding,
    jkt,
    ...(expiresAt !== undefined && { expiresAt }),
  };
}
