import type { ExecutionContext } from '@nestjs/common';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { createSessionCore, type SessionCore } from '../core/session-core.js';
import { authenticatedNow } from '../http/authentication/request-authenticator.js';
import type { HttpExchange } from '../http/exchange/http-exchange.js';
import { madeContext } from '../http/exchange/made-context.js';
import type { MiddlewareRequest } from '../http/exchange/request-view.js';
import { MemorySessionStore } from '../memory/memory-session-store.js';
import { resolveSessionOptions } from '../options/resolve-options.js';
import type { SessionModuleOptions } from '../options/session-module-options.js';
import type { TestClock } from './test-clock.js';
import { newSessionOf, type TestUser } from './test-user.js';

/** A core of its own, in memory, as the module would build it from the options. */
export async function coreInMemory(options: SessionModuleOptions, clock?: TestClock): Promise<SessionCore> {
  const { redis: _redis, store: _store, blacklist: _blacklist, ...rest } = options;
  const resolved = resolveSessionOptions(rest);
  const store = new MemorySessionStore({ ...resolved.adapter, ...(clock && { clock: clock.now }) });
  return createSessionCore(resolved, { store });
}

/** Has a request count as signed in: by a new session of the user, with its cookie. */
export async function signInRequest(core: SessionCore, exchange: HttpExchange, user: TestUser): Promise<void> {
  const { live } = await core.sessions.start(newSessionOf(user));
  core.requests.remember(core.contexts.of(exchange), authenticatedNow(live, 'cookie'));
}

export interface TestExchange {
  readonly request: MiddlewareRequest;
  readonly response: ServerResponse;
}

/** A request and its response, of Node's own kind, that no connection carries. */
export function testExchange(): TestExchange {
  const request = new IncomingMessage(new Socket());
  request.method = 'POST';
  request.headers = { host: 'localhost' };
  return { request: Object.assign(request, { ip: '127.0.0.1' }), response: new ServerResponse(request) };
}

/** Stands for the controller where a test names none. */
class Controller {
  handler(): void {
    return undefined;
  }
}

/** The context that guards and interceptors get of Nest for a request to the method of a class. */
export function testHost(
  { request, response }: TestExchange,
  type: new (...args: never[]) => object = Controller,
  method = 'handler',
): ExecutionContext {
  const args: unknown[] = [request, response];
  const next = (): void => undefined;
  const handler: unknown = Reflect.get(type.prototype as object, method);
  if (typeof handler !== 'function') throw new TypeError(`${type.name} has no method ${method}`);
  const absent = (): never => {
    throw new TypeError('the context is that of an HTTP request');
  };
  return Object.assign(madeContext('http', args, { of: type, handler: handler as () => unknown }), {
    getArgs: <T extends unknown[]>() => args as T,
    switchToHttp: () => ({
      getRequest: <T>() => request as T,
      getResponse: <T>() => response as T,
      getNext: <T>() => next as T,
    }),
    switchToRpc: absent,
    switchToWs: absent,
  });
}
