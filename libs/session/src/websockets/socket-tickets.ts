import { Inject, Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import type { SessionCore } from '../core/session-core.js';
import { SESSION_CORE } from '../core/tokens.js';
import type { Transport } from '../http/authorization/route-rules.js';
import { notSignedIn } from '../http/authentication/route-refusals.js';
import { exchangeOfRequest, type HttpExchange } from '../http/exchange/http-exchange.js';
import type { HttpRequest } from '../http/exchange/request-view.js';
import { aliasDigest } from '../model/alias.js';
import { ConfigurationError } from '../model/errors.js';
import type { SessionAliases } from '../ports/session-aliases.js';
import { invalidToken } from '../tokens/authentication-errors.js';

/** How long a ticket may be used, ms. */
const LIFETIME = 30_000;
/** How long it is remembered that a ticket was used, ms: longer than it lives. */
const REMEMBERED = 2 * LIFETIME;

const TICKET = /^[A-Za-z0-9_-]{43}\.([cb])\.([0-9a-z]*)\.([0-9a-z]+)(?:\.([A-Za-z0-9_-]{43}))?$/;

export interface SocketTicket {
  /** Good for one handshake. */
  ticket: string;
  /** Seconds. */
  expiresIn: number;
}

/** What a ticket stands for. */
export interface RedeemedTicket {
  readonly sessionId: string;
  readonly transport: Transport;
  readonly expiresAt: number | undefined;
  readonly tokensFrom: number;
  /** See `AuthenticatedRequest.jkt`. */
  readonly jkt?: string | undefined;
}

/**
 * Tickets for clients that can send neither a cookie nor a header when they open a socket, such as a browser on another site that
 * holds an access token. A ticket is good once, on any instance, for 30 seconds, and gives what the request had that asked for it.
 * It may stand in the URL: where a log keeps it, it is worth nothing any more.
 *
 * ```ts
 * @UseGuards(SessionGuard)
 * @Post('socket-ticket')
 * ticket(@Req() request: Request): Promise<SocketTicket> {
 *   return this.tickets.issue(request);
 * }
 * ```
 */
@Injectable()
export class SocketTickets {
  constructor(@Inject(SESSION_CORE) private readonly core: SessionCore) {}

  /**
   * A ticket for the session of a request, behind a guard.
   *
   * @param request Express's or Fastify's.
   * @throws {AuthenticationError} where nobody is signed in.
   * @throws {ConfigurationError} with a store that keeps no aliases.
   */
  async issue(request: object): Promise<SocketTicket> {
    const exchange = exchangeOfRequest(request as HttpRequest);
    return this.core.tenants.within(exchange, () => this.issueFor(exchange));
  }

  private async issueFor(exchange: HttpExchange): Promise<SocketTicket> {
    const { contexts, requests, store } = this.core;
    const context = contexts.find(exchange.node);
    const signedIn = context && (await requests.currentOf(context));
    if (!signedIn) throw notSignedIn();
    const { live, transport, expiresAt, jkt } = signedIn;
    const aliases = this.requireAliases();
    const until = expiresAt === undefined ? '' : expiresAt.toString(36);
    const parts = [randomBytes(32).toString('base64url'), transport[0], until, live.tokensFrom.toString(36), jkt];
    const ticket = parts.filter((part) => part !== undefined).join('.');
    const lifetime = Math.min(LIFETIME, (expiresAt ?? Infinity) - store.now());
    await aliases.point(aliasDigest(ticket), { from: null, to: live.session.id, lifetime: Math.max(1, lifetime) });
    return { ticket, expiresIn: Math.max(0, Math.floor(lifetime / 1000)) };
  }

  /** @internal Uses a ticket up. @throws {AuthenticationError} where it was used before, is too old, or was never issued. */
  async redeem(ticket: unknown): Promise<RedeemedTicket> {
    const [, transport, until, from, jkt] = typeof ticket === 'string' ? (TICKET.exec(ticket) ?? []) : [];
    if (transport === undefined || until === undefined || from === undefined) throw invalidToken('forged');
    // What stands in the ticket cannot be changed: it is part of what the digest was made of.
    const found = await this.requireAliases().end(aliasDigest(ticket), REMEMBERED);
    if (found.state !== 'session') throw invalidToken(found.state === 'ended' ? 'replaced' : 'expired');
    return {
      sessionId: found.sessionId,
      transport: transport === 'c' ? 'cookie' : 'bearer',
      expiresAt: until === '' ? undefined : parseInt(until, 36),
      tokensFrom: parseInt(from, 36),
      jkt,
    };
  }

  private requireAliases(): SessionAliases {
    const aliases = this.core.store.aliases();
    if (aliases) return aliases;
    throw new ConfigurationError('SocketTickets: your store keeps no aliases. Give it a method aliases().');
  }
}
