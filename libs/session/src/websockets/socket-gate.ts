import type { ExecutionContext } from '@nestjs/common';
import { WsException } from '@nestjs/websockets';
import type { SessionCore } from '../core/session-core.js';
import type { AuthenticatedRequest } from '../http/authentication/request-context.js';
import { exchangeOfRequest, findExchange } from '../http/exchange/http-exchange.js';
import { madeContext } from '../http/exchange/made-context.js';
import { registerSocket, socketOf, type OpenSocket } from '../http/exchange/open-sockets.js';
import { viewOf, type HttpRequest, type MiddlewareRequest } from '../http/exchange/request-view.js';
import type { SessionWatch } from '../http/streams/session-watch.js';
import { SessionError } from '../model/errors.js';
import type { Session } from '../model/session.js';
import type { Gateway } from './gateways.js';
import { closeSocket, onSocketClosed, SOCKET_CLOSED, type SocketClient } from './socket-client.js';
import { SocketTickets } from './socket-tickets.js';

/** A handshake as it was let in. */
export interface Admission {
  readonly socket: OpenSocket;
  /** Null where a public gateway let in somebody who is not signed in. */
  readonly signedIn: AuthenticatedRequest | null;
  /** For sessions of the socket's tenant. */
  readonly watch: Pick<SessionWatch, 'watch'>;
}

/** What a client shows besides the headers of its request. */
export interface Shown {
  readonly ticket?: unknown;
  /** An access token, from the body of a handshake and never from a URL. */
  readonly token?: unknown;
  /** A proof for the token, where it is bound to a key. */
  readonly proof?: unknown;
}

const sessions = new WeakMap<object, Session>();

/**
 * The session with which a socket was opened, as it was then; null for a socket without one. Use it in `handleConnection`. In
 * message handlers use `@CurrentSession()`, which reads the session for each message.
 */
export function sessionOfSocket(client: object): Session | null {
  return sessions.get(client) ?? null;
}

/** Lets sockets in, and closes them when their session is over. */
export class SocketGate {
  private readonly tickets: SocketTickets;
  /** By session, oldest first. */
  private readonly open = new Map<string, Set<SocketClient>>();

  constructor(
    private readonly core: SessionCore,
    private readonly maxPerSession: number,
  ) {
    this.tickets = new SocketTickets(core);
  }

  /**
   * Passes where one of the gateways would let the client in.
   *
   * @throws {SessionError} what a route would answer.
   */
  async admit(request: MiddlewareRequest, shown: Shown, gateways: readonly Gateway[]): Promise<Admission> {
    const socket: OpenSocket = { request: withToken(viewOf(request), shown), refusalOf: wsRefusal };
    return this.core.tenants.within(exchangeOfRequest(socket.request), () =>
      this.admitSocket(request, socket, shown, gateways),
    );
  }

  private async admitSocket(
    request: MiddlewareRequest,
    socket: OpenSocket,
    shown: Shown,
    gateways: readonly Gateway[],
  ): Promise<Admission> {
    const handshake = {};
    registerSocket(handshake, socket);
    const { contexts, requests, requestSessions, socketSessions, admission, watch } = this.core;
    if (shown.ticket !== undefined) socketSessions.admit(request, await this.tickets.redeem(shown.ticket));
    const key = {};
    const candidates = gateways.length > 0 ? gateways : [Unserved];
    let refusal: unknown;
    for (const gateway of candidates) {
      const host = handshakeHost(handshake, key, gateway);
      try {
        await admission.admit(host);
        const exchange = findExchange(host);
        const context = exchange && contexts.of(exchange);
        if (exchange) requestSessions.attach(exchange.node);
        return { socket, signedIn: context && (await requests.currentOf(context)), watch: watch.ofTenant() };
      } catch (error) {
        refusal ??= error;
      }
    }
    throw sessionErrorOf(refusal);
  }

  /** Runs the work in the tenant of the client's socket, where it came in through the gate. */
  withinTenantOf<T>(client: unknown, work: () => T): T {
    const socket = socketOf(client);
    return socket ? this.core.tenants.enterKnown(socket.request, work) : work();
  }

  /** From now on guards and decorators know the client, and its socket closes when the session is over. */
  enter(client: SocketClient, { socket, signedIn, watch }: Admission): void {
    if (sessions.has(client)) return;
    registerSocket(client, socket);
    if (!signedIn) return;
    const { session } = signedIn.live;
    sessions.set(client, session);
    const own = this.open.get(session.id) ?? new Set();
    this.open.set(session.id, own);
    own.add(client);
    const [oldest] = own;
    if (own.size > this.maxPerSession && oldest) {
      own.delete(oldest);
      closeSocket(oldest, { code: SOCKET_CLOSED.tooMany, reason: 'too-many-sockets' });
    }
    const stop = watch.watch(session, {
      expiresAt: signedIn.expiresAt,
      onOver: (reason) => closeSocket(client, { code: SOCKET_CLOSED.sessionOver, reason }),
    });
    onSocketClosed(client, () => {
      stop();
      own.delete(client);
      if (own.size === 0 && this.open.get(session.id) === own) this.open.delete(session.id);
    });
  }
}

/** Stands for the gateway of an address that none serves: it asks for a session. */
class Unserved {}

function withToken(request: HttpRequest, { token, proof }: Shown): HttpRequest {
  if (typeof token !== 'string' || request.headers.authorization !== undefined) return request;
  const { headers } = request;
  const isProved = typeof proof === 'string' && headers['dpop'] === undefined;
  const shown = isProved ? { authorization: `DPoP ${token}`, dpop: proof } : { authorization: `Bearer ${token}` };
  return { ...request, headers: { ...headers, ...shown } };
}

function wsRefusal(error: SessionError): WsException {
  const { code, statusCode, message } = error.getResponse();
  const exception = new WsException({ status: 'error', code, statusCode, message });
  exception.cause = error;
  return exception;
}

/** What a gateway's message handler would get, for the handshake: the class's rules count. */
function handshakeHost(client: object, key: object, gateway: Gateway): ExecutionContext {
  return madeContext('ws', [client, key], { of: gateway, handler: handshake });
}

function handshake(): void {
  return undefined;
}

function sessionErrorOf(error: unknown): unknown {
  const { cause } = error as { cause?: unknown };
  return error instanceof WsException && cause instanceof SessionError ? cause : error;
}
