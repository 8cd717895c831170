import type { ExecutionContext } from '@nestjs/common';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { SessionError } from '../model/errors.js';
import { keepUncached } from './uncached-response.js';

/** What Express and Fastify requests have in common. `ip`, `host` and `protocol` heed the framework's trust in proxies. */
export interface HttpRequest {
  readonly method?: string;
  readonly headers: IncomingHttpHeaders;
  readonly ip?: string;
  readonly host?: string;
  readonly protocol?: string;
  /** Fastify: Node's own request. */
  readonly raw?: IncomingMessage;
}

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
  constructor(
    readonly request: HttpRequest,
    private readonly response: HttpResponse | undefined,
  ) {}

  /** Node's own request: the same object for middleware, guards and handlers of one request. */
  get key(): object {
    return this.request.raw ?? this.request;
  }

  get method(): string {
    return this.request.method ?? '';
  }

  /** A request header, or undefined; of one that may stand only once, the first. */
  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }

  /** How many lines of the request bear the name. Node drops repeats of some headers without a word. */
  countHeader(name: string): number {
    const lines = (this.request.raw ?? (this.request as IncomingMessage)).rawHeaders ?? [];
    return lines.filter((text, index) => index % 2 === 0 && text.toLowerCase() === name).length;
  }

  get canSetHeaders(): boolean {
    const { response } = this;
    if (!response) return false;
    return isReply(response) ? !response.sent && !response.raw.headersSent : !response.headersSent;
  }

  /** @throws {SessionError} `headers_sent` when the response is under way, or there is none. */
  assertCanSetHeaders(): void {
    if (this.canSetHeaders) return;
    throw new SessionError(
      'headers_sent',
      this.response
        ? 'The response is under way, so that no cookie can be set. Call this before anything is sent.'
        : 'There is no HTTP response here to set a cookie on.',
    );
  }

  setHeader(name: string, value: string): void {
    const { response } = this;
    if (!response || !this.canSetHeaders) return;
    if (isReply(response)) response.header(name, value);
    else response.setHeader(name, value);
  }

  /** For responses that carry a token: no cache keeps them, whatever else sets the header later. */
  forbidCaching(): void {
    const { response } = this;
    if (!response || !this.canSetHeaders) return;
    this.setHeader('cache-control', 'no-store');
    keepUncached(isReply(response) ? response.raw : response);
  }

  /** Replaces every Set-Cookie line that begins with the prefix by the new one; the others stay. */
  replaceSetCookie(prefix: string, line: string): void {
    this.assertCanSetHeaders();
    const response = this.response as HttpResponse;
    const lines = setCookieLines(response).filter((existing) => !existing.startsWith(prefix));
    lines.push(line);
    if (isReply(response)) {
      // Fastify appends to its own list, and what middleware wrote to Node's response it would overwrite.
      response.removeHeader('set-cookie');
      response.header('set-cookie', lines);
    } else {
      response.setHeader('set-cookie', lines);
    }
  }
}

function setCookieLines(response: HttpResponse): string[] {
  const own = listOf(response.getHeader('set-cookie'));
  if (!isReply(response)) return own;
  const raw = listOf(response.raw.getHeader('set-cookie'));
  return [...raw, ...own.filter((line) => !raw.includes(line))];
}

function listOf(value: number | string | readonly string[] | undefined): string[] {
  if (value === undefined) return [];
  return typeof value === 'object' ? [...value] : [String(value)];
}

function isReply(response: HttpResponse): response is FastifyReply {
  return 'raw' in response && typeof (response as Partial<FastifyReply>).header === 'function';
}

/** The exchange a guard, pipe or filter is called for, or null where there is none (sockets, messages). */
export function findExchange(context: Pick<ExecutionContext, 'getType' | 'getArgByIndex'>): HttpExchange | null {
  const type: string = context.getType();
  if (type === 'http') return exchangeOf(context.getArgByIndex(0), context.getArgByIndex(1));
  if (type === 'graphql') {
    const shared: unknown = context.getArgByIndex(2);
    if (typeof shared !== 'object' || shared === null) return null;
    const { req, request, res, reply } = shared as Record<string, unknown>;
    return exchangeOf(req ?? request, res ?? reply);
  }
  return null;
}

/** The exchange of a request alone, where there is no response to write to. */
export function exchangeOfRequest(request: HttpRequest): HttpExchange {
  return new HttpExchange(request, undefined);
}

function exchangeOf(request: unknown, response: unknown): HttpExchange | null {
  if (typeof request !== 'object' || request === null) return null;
  if (typeof (request as Partial<HttpRequest>).headers !== 'object') return null;
  const answers = typeof response === 'object' && response !== null && 'getHeader' in response;
  return new HttpExchange(request as HttpRequest, answers ? (response as HttpResponse) : undefined);
}
