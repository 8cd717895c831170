import { parseSetCookie } from 'cookie';
import { ConfigurationError } from '../model/errors.js';

// The types of supertest are an optional peer: without them the agent is untyped, and everything else compiles.
/* eslint-disable @typescript-eslint/ban-ts-comment, @typescript-eslint/consistent-type-imports */
/** An agent of supertest, typed where @types/supertest is installed.
 * @ts-ignore */
export type TestAgent = import('supertest').Agent;
/* eslint-enable @typescript-eslint/ban-ts-comment, @typescript-eslint/consistent-type-imports */

/** What leaves, by Node's own client. */
interface Sent {
  getHeader(name: string): unknown;
  setHeader(name: string, value: string): unknown;
}

/** A request of an agent. */
export interface Message {
  readonly method: string;
  readonly url: string;
  readonly req: Sent;
  on(event: 'request', listener: (request: Message) => void): unknown;
  set(name: string, value: string): unknown;
  on(event: 'response', listener: (response: { headers: { 'set-cookie'?: string | string[] } }) => void): unknown;
}

/** The cookies of an agent. It sends them over plain http as well, which supertest's own jar does not do for `Secure` ones. */
export class CookieJar {
  private readonly values = new Map<string, string>();

  set(name: string, value: string): void {
    this.values.set(name, value);
  }

  get header(): string {
    return [...this.values].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  /** Sends the cookies with a request, and keeps those of its answer. */
  readonly attach = (request: Message): void => {
    if (this.values.size > 0) request.set('Cookie', this.header);
    request.on('response', ({ headers }) => this.keep(headers['set-cookie'] ?? []));
  };

  private keep(lines: string | string[]): void {
    for (const { name, value, maxAge } of [lines].flat().map((line) => parseSetCookie(line))) {
      if (value === undefined || (maxAge !== undefined && maxAge <= 0)) this.values.delete(name);
      else this.values.set(name, value);
    }
  }
}

/** Has an agent send a proof with each request that has none. Only when it is sent is it known where to. */
export function proving(
  proofFor: (method: string, url: string, accessToken?: string) => string,
): (request: Message) => void {
  return (request) => {
    request.on('request', ({ method, url, req }) => {
      if (req.getHeader('dpop') !== undefined) return;
      const target = new URL(url);
      const host = req.getHeader('host');
      if (typeof host === 'string') target.host = host;
      const authorization = req.getHeader('authorization');
      const [, token] = (typeof authorization === 'string' && /^DPoP (.+)$/i.exec(authorization)) || [];
      req.setHeader('dpop', proofFor(method, target.href, token));
    });
  };
}

/** Makes agents, where supertest is installed. */
export async function loadAgents(): Promise<((server: unknown) => TestAgent) | null> {
  try {
    const { agent } = await import('supertest');
    return (server) => agent(server as never);
  } catch {
    return null;
  }
}

/** @throws {ConfigurationError} always. */
export function withoutSupertest(): never {
  throw new ConfigurationError(
    'agent: needs the package supertest. Run "npm install --save-dev supertest @types/supertest", or use "headers" with a client of your own.',
  );
}
