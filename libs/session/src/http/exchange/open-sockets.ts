import type { SessionError } from '../../model/errors.js';
import type { HttpRequest } from './request-view.js';

/** What is known of a socket's client: the request that opened it, and how it hears of a refusal. */
export interface OpenSocket {
  readonly request: HttpRequest;
  readonly refusalOf: (error: SessionError) => Error;
}

/** By the client as gateways get it. */
const sockets = new WeakMap<object, OpenSocket>();

/** From now on guards and decorators find the request that opened the client's socket. */
export function registerSocket(client: object, socket: OpenSocket): void {
  sockets.set(client, socket);
}

/** Null for a client whose handshake nobody authenticated. */
export function socketOf(client: unknown): OpenSocket | null {
  return typeof client === 'object' && client !== null ? (sockets.get(client) ?? null) : null;
}
