import type { Session } from '../../model/session.js';
import type { HttpExchange } from '../exchange/http-exchange.js';

/**
 * Sets `request.user` and `request.session` after the library's guards, unless they are already set: loggers, per-user
 * rate limits and ability libraries read them. A request that opens a socket serves many operations and is left
 * unchanged.
 */
export function exposeSession(exchange: HttpExchange, session: Session, user: unknown): void {
  if (exchange.isUpgrade) return;
  const { request, node } = exchange;
  offer(request, 'session', session);
  if (user !== null) offer(request, 'user', user);
  if (node === request) return;
  offer(node, 'session', session);
  if (user !== null) offer(node, 'user', user);
}

function offer(request: object, name: string, value: unknown): void {
  if (!(name in request) && Object.isExtensible(request)) (request as Record<string, unknown>)[name] = value;
  else if (isFree(request, name)) define(request, name, value);
}

/** Whether the property is missing, or declared as null to be filled later, as Fastify recommends. */
function isFree(request: object, name: string): boolean {
  for (let target: object | null = request; target; target = Object.getPrototypeOf(target) as object | null) {
    const property = Reflect.getOwnPropertyDescriptor(target, name);
    // An accessor belongs to other code, and reading it may have effects.
    if (property) return !property.get && (property.value === undefined || property.value === null);
  }
  return true;
}

function define(request: object, name: string, value: unknown): void {
  Reflect.defineProperty(request, name, { value, writable: true, configurable: true, enumerable: true });
}
