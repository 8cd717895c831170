import type { IncomingHttpHeaders } from 'node:http';

/** What the option `tenant` finds the tenant of a request by. The same on Express and Fastify, and for a socket's handshake. */
export interface TenantRequest {
  readonly method: string;
  /** Path and query, as sent. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** Host and port, according to the framework's proxy settings; '' if there is none. */
  readonly host: string;
  /** The host in lower case, without its port; '' if there is none. */
  readonly hostname: string;
  /** The client's address, according to the framework's proxy settings. */
  readonly ip: string | undefined;
}

/**
 * Names the tenant of a request, 1 to 256 characters; null, undefined or other text for a tenant that does not exist. Called once
 * for each request and each socket, before anything else. A client chooses the host and headers that it sends, so look the tenant up
 * in a list of yours.
 *
 * An `HttpException` that it throws is the answer; any other error is 503.
 */
export type TenantOf = (request: TenantRequest) => string | null | undefined | Promise<string | null | undefined>;
