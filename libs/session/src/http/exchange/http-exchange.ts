import type { ExecutionContext } from '@nestjs/common';
import { IncomingMessage, ServerResponse, type IncomingHttpHeaders } from 'node:http';
import { SessionError } from '../../model/errors.js';
import { graphqlRefusal } from './graphql-refusal.js';
import { listOf } from './head-arguments.js';
import { keepCookies } from './kept-cookies.js';
import { socketOf } from './open-sockets.js';
import { viewOf, type HttpRequest, type MiddlewareRequest } from './request-view.js';
import { setHeadersWithStatus } from './status-headers.js';
import { keepUncached } from './uncached-response.js';

/** The part of a Fastify reply that is used here. */
interface FastifyReply {
  readonly raw: ServerResponse;
  readonly sent: boolean;
  header(name: string, value: string | string[]): unknown;
  getHeader(name: string): number | string | string[] | undefined;
  removeHeader(name: string): unknown;
}

/** An Express response, a Fastify reply, or Node's own response. */
export type HttpResponse = ServerResponse | FastifyReply;

/** One request and its response, the same on Express and Fastify. */
export class HttpExchange {
  /** Node's own request: the same object for middleware, guards and handlers of one request. */
  readonly node: object;
  private upgrade: boolean | undefined = undefined;
  private read: IncomingHttpHeaders | undefined = undefined;

  constructor(
    readonly request: HttpRequest,
    private readonly response: HttpResponse | undefined,
    /** Stands for one operation or message on a socket, because the request that opened the socket serves many. */
    private readonly operation?: object,
    /** Makes the error that tells a client of a refusal, where no HTTP response does. */
    readonly refusalOf?: (error: SessionError) => Error,
  ) {
    this.node = nodeOf(request);
  }

  /** Those of the request, which is asked for them once: see `nodeOf`. */
  get headers(): IncomingHttpHeaders {
    return (this.read ??= this.request.headers);
  }

  /** The unit of authentication: a request, or an operation on a socket. */
  get key(): object {
    return this.operation ?? this.node;
  }

  /** Whether the request opens a socket, which outlives it. */
  get isUpgrade(): boolean {
    return (this.upgrade ??= this.operation !== undefined || isUpgrade(this));
  }

  /** Whether headers set on this response win: a framework's reply overwrites those of Node's response. */
  outranks({ response }: HttpExchange): boolean {
    return rankOf(this.response) > rankOf(response);
  }

  get method(): string {
    return this.request.method ?? '';
  }

  /** A request header, or undefined; the first one of a header that must appear only once. */
  header(name: string): string | undefined {
    const value = this.headers[name];
    const first: unknown = Array.isArray(value) ? value[0] : value;
    // A GraphQL context may have been built from JSON.
    return typeof first === 'string' ? first : undefined;
  }

  /** How many times the request contains the header. Node silently drops repeats of some headers. */
  countHeader(name: string): number {
    const lines = (this.node as Partial<IncomingMessage>).rawHeaders ?? [];
    let count = 0;
    for (let index = 0; index < lines.length; index += 2) {
      const line = lines[index];
      if (line?.length === name.length && line.toLowerCase() === name) count += 1;
    }
    return count;
  }

  get canSetHeaders(): boolean {
    const { response } = this;
    if (!response) return false;
    return isReply(response) ? !response.sent && !response.raw.headersSent : !response.headersSent;
  }

  /** @throws {SessionError} `headers_sent` if the headers have been sent, or there is no response. */
  assertCanSetHeaders(): void {
    if (this.canSetHeaders) return;
    throw new SessionError(
      'headers_sent',
      this.response
        ? 'The response has been sent already, so no cookie can be set. Call this before sending anything.'
        : 'There is no HTTP response here to set a cookie on.',
    );
  }

  setHeader(name: string, value: string): void {
    const { response } = this;
    if (!response || !this.canSetHeaders) return;
    if (isReply(response)) response.header(name, value);
    else response.setHeader(name, value);
  }

  /** See `setHeadersWithStatus`. */
  setHeadersWithStatus(status: number, headers: Readonly<Record<string, string>>): void {
    const { response } = this;
    if (!response || !this.canSetHeaders) return;
    setHeadersWithStatus(isReply(response) ? response.raw : response, status, headers);
  }

  /** For responses with a token: prevents caching, whatever sets the header later. */
  forbidCaching(): void {
    const { response } = this;
    if (!response || !this.canSetHeaders) return;
    this.setHeader('cache-control', 'no-store');
    keepUncached(isReply(response) ? response.raw : response);
  }

  /** Replaces every Set-Cookie line with this prefix; other lines stay. Handlers that replace the header lose none of them. */
  replaceSetCookie(prefix: string, replacement: readonly string[]): void {
    this.assertCanSetHeaders();
    const response = this.response as HttpResponse;
    const lines = setCookieLines(response).filter((existing) => !existing.startsWith(prefix));
    lines.push(...replacement);
    if (isReply(response)) {
      // Fastify appends to its own list, and would overwrite lines that middleware wrote to Node's response.
      response.removeHeader('set-cookie');
      response.header('set-cookie', lines);
    } else {
      response.setHeader('set-cookie', lines);
    }
    keepCookies(isReply(response) ? response.raw : response, prefix, replacement);
  }
}

function rankOf(response: HttpResponse | undefined): number {
  if (!response) return 0;
  return isReply(response) ? 2 : 1;
}

function setCookieLines(response: HttpResponse): string[] {
  const own = listOf(response.getHeader('set-cookie'));
  if (!isReply(response)) return own;
  const raw = listOf(response.raw.getHeader('set-cookie'));
  return [...raw, ...own.filter((line) => !raw.includes(line))];
}

function isReply(response: HttpResponse): response is FastifyReply {
  if (response instanceof ServerResponse) return false;
  return 'raw' in response && typeof (response as Partial<FastifyReply>).header === 'function';
}

/** Node's own request behind a guard, pipe or filter, or null where there is none: `findExchange(context).node`. */
export function findNode(context: Pick<ExecutionContext, 'getType' | 'getArgByIndex'>): object | null {
  const type: string = context.getType();
  if (type !== 'http') return findExchange(context)?.node ?? null;
  const request: unknown = context.getArgByIndex(0);
  return isRequest(request) ? nodeOf(request) : null;
}

/** The exchange of a guard, pipe or filter, or null where there is none (sockets, messages). */
export function findExchange(context: Pick<ExecutionContext, 'getType' | 'getArgByIndex'>): HttpExchange | null {
  const type: string = context.getType();
  if (type === 'http') return exchangeOf(context.getArgByIndex(0), context.getArgByIndex(1));
  if (type === 'graphql') return operationOf(context.getArgByIndex(2), context.getArgByIndex(3));
  if (type === 'ws') return messageOf(context);
  return null;
}

/** The exchange of a message on a socket. Every message has a payload of its own, so the guard and the parameters share one exchange. */
function messageOf(context: Pick<ExecutionContext, 'getArgByIndex'>): HttpExchange | null {
  const socket = socketOf(context.getArgByIndex(0));
  if (!socket) return null;
  // Of socket.io, an acknowledgement stands where the payload is no object.
  const parts: unknown[] = [context.getArgByIndex(1), context.getArgByIndex(2)];
  const message = parts.find((part) => (typeof part === 'object' && part !== null) || typeof part === 'function');
  return new HttpExchange(socket.request, undefined, message ?? {}, socket.refusalOf);
}

/** The exchange of a GraphQL operation. `info` is the fourth argument of resolvers. */
function operationOf(shared: unknown, info: unknown): HttpExchange | null {
  if (typeof shared !== 'object' || shared === null) return null;
  const { req, request, res, reply } = shared as Record<string, unknown>;
  const given = req ?? request;
  // Without a context function, Nest passes the context of graphql-ws in place of the request.
  const sent = isRequest(given)
    ? given
    : (given as { extra?: { request?: unknown } } | null | undefined)?.extra?.request;
  if (!isRequest(sent)) return null;
  if (!isUpgrade(sent)) return exchangeOf(sent, res ?? reply, graphqlRefusal);
  // Created per execution; the context may be shared by the whole socket.
  const variables = (info as { variableValues?: unknown } | null | undefined)?.variableValues;
  const operation = typeof variables === 'object' && variables !== null ? variables : shared;
  const isNodes = sent.raw === undefined && 'socket' in sent;
  const view = isNodes ? viewOf(sent as MiddlewareRequest) : sent;
  return new HttpExchange(withParams(view, shared, given), undefined, operation, graphqlRefusal);
}

/** Browsers can set no headers when they open a socket; clients of GraphQL send them in its first message instead. */
function withParams(request: HttpRequest, shared: object, given: unknown): HttpRequest {
  const found = [shared, given].map((from) => (from as { connectionParams?: unknown } | null)?.connectionParams);
  const params = found.find(Boolean) ?? (shared as { _connectionInit?: unknown })._connectionInit;
  const { authorization, Authorization, dpop, DPoP } = Object(params) as Record<string, unknown>;
  const [sent, proof] = [authorization ?? Authorization, dpop ?? DPoP];
  if (typeof sent !== 'string' || request.headers.authorization !== undefined) return request;
  // A view of the request: what it does not show by itself, such as that of Fastify, is taken over by name.
  const { method, ip, host, protocol, raw } = request;
  return {
    ...(method !== undefined && { method }),
    ...(ip !== undefined && { ip }),
    ...(host !== undefined && { host }),
    ...(protocol !== undefined && { protocol }),
    headers: {
      ...request.headers,
      authorization: sent,
      ...(typeof proof === 'string' && request.headers['dpop'] === undefined && { dpop: proof }),
    },
    raw: raw ?? (request as IncomingMessage),
  };
}

/** The exchange of a request without a response. */
export function exchangeOfRequest(request: HttpRequest): HttpExchange {
  return new HttpExchange(request, undefined);
}

function exchangeOf(
  request: unknown,
  response: unknown,
  refusalOf?: (error: SessionError) => Error,
): HttpExchange | null {
  if (!isRequest(request)) return null;
  return new HttpExchange(request, isResponse(response) ? response : undefined, undefined, refusalOf);
}

/**
 * The request of Node behind that of a framework. Reads no property of an `IncomingMessage`: on Express each has its own hidden class,
 * so V8 cannot cache property accesses, and each costs a third of a microsecond.
 */
function nodeOf(request: HttpRequest): object {
  return request instanceof IncomingMessage ? request : (request.raw ?? request);
}

function isResponse(value: unknown): value is HttpResponse {
  if (value instanceof ServerResponse) return true;
  return typeof value === 'object' && value !== null && 'getHeader' in value;
}

function isRequest(value: unknown): value is HttpRequest {
  if (value instanceof IncomingMessage) return true;
  if (typeof value !== 'object' || value === null) return false;
  const { headers } = value as { headers?: unknown };
  return typeof headers === 'object' && headers !== null;
}

/** RFC 9110, 7.8. */
function isUpgrade({ headers }: Pick<HttpRequest, 'headers'>): boolean {
  return headers.upgrade !== undefined;
}
