import { Logger, type INestApplicationContext, type WebSocketAdapter } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import type { SessionCore } from '../core/session-core.js';
import { SESSION_CORE } from '../core/tokens.js';
import { headersOf } from '../http/exchange/http-errors.js';
import { exchangeOfRequest } from '../http/exchange/http-exchange.js';
import { viewOf, type MiddlewareRequest } from '../http/exchange/request-view.js';
import { stackOf } from '../model/error-text.js';
import { ConfigurationError, SessionError, StoreUnavailableError } from '../model/errors.js';
import { Gateways } from './gateways.js';
import type { IoClient, SocketClient } from './socket-client.js';
import { SocketGate, type Admission, type Shown } from './socket-gate.js';

export interface SessionSocketOptions {
  /** How many sockets a session may have open; of more, the oldest is closed with 4429. Default 1,000. */
  maxPerSession?: number;
}

/**
 * An adapter whose sockets need a session. Every handshake is authenticated before the socket opens, so that no message overtakes it:
 * by cookie, by bearer token or by ticket, with the origin checked and the rules of the gateway's class (`@Public()`, `@Roles()`,
 * `@RequireFresh()`, `@Transport()`, `@AllowPending()`, `@AllowAnonymous()`). Sockets close with 4401 when their session is over.
 *
 * ```ts
 * const app = await NestFactory.create(AppModule);
 * app.useWebSocketAdapter(withSessions(new IoAdapter(app), app));
 * ```
 *
 * @param adapter For socket.io or ws.
 * @throws {ConfigurationError} for an application without `SessionModule`.
 */
export function withSessions(
  adapter: WebSocketAdapter,
  app: INestApplicationContext,
  { maxPerSession = 1_000 }: SessionSocketOptions = {},
): WebSocketAdapter {
  return new SessionSocketAdapter(adapter, new SocketGate(coreOf(app), maxPerSession), new Gateways(app));
}

function coreOf(app: INestApplicationContext): SessionCore {
  try {
    return app.get<SessionCore>(SESSION_CORE, { strict: false });
  } catch (error) {
    throw new ConfigurationError(
      'withSessions: there is no SessionModule in this application. Import SessionModule.forRoot() in the root module.',
      { cause: error },
    );
  }
}

/** What is used of a socket.io server or namespace. */
interface IoServer {
  use(middleware: (socket: IoSocket, next: (error?: Error) => void) => void): unknown;
}

interface IoSocket extends IoClient {
  readonly request: IncomingMessage;
  readonly handshake: { readonly auth: Record<string, unknown>; readonly query: Record<string, unknown> };
}

interface WsInfo {
  readonly req: IncomingMessage;
}

type WsAnswer = (accepted: boolean, status?: number, body?: string, headers?: Record<string, string>) => void;
type VerifyClient = (info: WsInfo, answer: WsAnswer) => void;

interface CreateOptions {
  readonly path?: unknown;
  readonly namespace?: unknown;
  readonly verifyClient?: unknown;
}

/** Stands before another adapter. Takes nothing from it by inheritance, so that any adapter will do. */
class SessionSocketAdapter implements WebSocketAdapter {
  private readonly logger = new Logger('SessionSockets');
  /** By the request that opened the socket; of ws alone, which hands it over beside the client. */
  private readonly admitted = new WeakMap<object, Admission>();

  constructor(
    private readonly adapter: WebSocketAdapter,
    private readonly gate: SocketGate,
    private readonly gateways: Gateways,
  ) {}

  /** Nest sets it. */
  set forceCloseConnections(value: boolean) {
    (this.adapter as { forceCloseConnections?: boolean }).forceCloseConnections = value;
  }

  create(port: number, options: CreateOptions = {}): unknown {
    const { path, namespace, verifyClient } = options;
    // Asked at the first handshake: not every module is there when a server is made.
    const serving = (): ReturnType<Gateways['at']> => this.gateways.at(port, { path, namespace });
    const verify: VerifyClient = (info, answer) => this.verify(info, answer, serving, verifyClient);
    const server: unknown = this.adapter.create(port, { ...options, verifyClient: verify });
    if (isIoServer(server)) {
      server.use((socket, next) => this.admitIo(socket, next, serving));
    } else if ((server as { options?: CreateOptions }).options?.verifyClient !== verify) {
      throw new ConfigurationError(
        'withSessions: the adapter made a server that takes no verifyClient, so that its sockets cannot be authenticated. Use IoAdapter or WsAdapter, without a server of your own.',
      );
    }
    return server;
  }

  bindClientConnect(server: unknown, callback: (...args: unknown[]) => void): void {
    this.adapter.bindClientConnect(server, (client: SocketClient, request: unknown, ...rest: unknown[]) => {
      const admission = typeof request === 'object' && request !== null ? this.admitted.get(request) : undefined;
      if (admission) this.gate.enter(client, admission);
      this.gate.withinTenantOf(client, () => callback(client, request, ...rest));
    });
  }

  bindClientDisconnect(client: unknown, callback: (...args: unknown[]) => void): void {
    this.adapter.bindClientDisconnect?.(client, (...args: unknown[]) =>
      this.gate.withinTenantOf(client, () => callback(...args)),
    );
  }

  bindMessageHandlers(...args: Parameters<WebSocketAdapter['bindMessageHandlers']>): void {
    const client: unknown = args[0];
    const [, handlers, transform] = args;
    const inTenant = handlers.map((handler) => ({
      ...handler,
      callback: (...given: unknown[]): Promise<unknown> =>
        this.gate.withinTenantOf(client, () => Reflect.apply(handler.callback, undefined, given) as Promise<unknown>),
    }));
    this.adapter.bindMessageHandlers(client, inTenant, transform);
  }

  close(server: unknown): unknown {
    return this.adapter.close(server);
  }

  async dispose(): Promise<void> {
    await (this.adapter as { dispose?: () => unknown }).dispose?.();
  }

  private admitIo(socket: IoSocket, next: (error?: Error) => void, serving: () => ReturnType<Gateways['at']>): void {
    const { auth, query } = socket.handshake;
    const shown: Shown = { ticket: auth['ticket'] ?? query['ticket'], token: auth['token'], proof: auth['dpop'] };
    this.gate.admit(socket.request as MiddlewareRequest, shown, serving()).then(
      (admission) => {
        this.gate.enter(socket, admission);
        next();
      },
      (error: unknown) => {
        const refusal = this.refusalOf(error);
        // A client finds `data` at its `connect_error`.
        next(Object.assign(new Error(refusal.getResponse().message), { data: refusal.getResponse() }));
      },
    );
  }

  private verify(info: WsInfo, answer: WsAnswer, serving: () => ReturnType<Gateways['at']>, own: unknown): void {
    const { req } = info;
    const [, query = ''] = (req.url ?? '').split('?', 2);
    const ticket = new URLSearchParams(query).get('ticket') ?? undefined;
    this.gate.admit(req as MiddlewareRequest, { ticket }, serving()).then(
      (admission) => {
        this.admitted.set(req, admission);
        if (typeof own !== 'function') answer(true);
        else if (own.length >= 2) Reflect.apply(own, undefined, [info, answer]);
        else answer(Boolean(Reflect.apply(own, undefined, [info])));
      },
      (error: unknown) => {
        const refusal = this.refusalOf(error);
        const body = JSON.stringify(refusal.getResponse());
        answer(false, refusal.statusCode, body, {
          'Content-Type': 'application/json; charset=utf-8',
          'Content-Length': String(Buffer.byteLength(body)),
          ...headersOf(refusal, exchangeOfRequest(viewOf(req))),
        });
      },
    );
  }

  /** What is no refusal is a fault of ours or of the application: it is logged, and the client is asked to come again. */
  private refusalOf(error: unknown): SessionError {
    if (error instanceof SessionError) return error;
    this.logger.error('A handshake could not be checked', stackOf(error));
    return new StoreUnavailableError(undefined, { cause: error });
  }
}

function isIoServer(server: unknown): server is IoServer {
  return typeof server === 'object' && server !== null && typeof (server as Partial<IoServer>).use === 'function';
}
