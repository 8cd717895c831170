import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { requireRequestSessions, type RequestSessions } from '../session/request-sessions.js';

/** The `RequestSession` of the request, which handlers use to sign in and out. Needs no guard. */
export const ReqSession = parameter((sessions, host) => sessions.of(host));

/** The `Session` of the request, or null if nobody is signed in (possible with `@Public()` or without a guard). */
export const CurrentSession = parameter((sessions, host) => sessions.findSession(host));

/**
 * The user of the request: `{ id, email, roles }`, or the result of the option `resolveUser`. Null if nobody is signed
 * in (possible with `@Public()` or without a guard).
 */
export const CurrentUser = parameter((sessions, host) => sessions.findUser(host));

function parameter(find: (sessions: RequestSessions, host: ExecutionContext) => unknown): () => ParameterDecorator {
  const decorate = createParamDecorator((_: undefined, host: ExecutionContext) =>
    find(requireRequestSessions(host), host),
  );
  return () => (target, method, index) => {
    decorate()(target, method, index);
    if (method !== undefined) leaveUnvalidated(target, method, index);
  };
}

/**
 * Sets the parameter's design type to `Object`. A `ValidationPipe` with `validateCustomDecorators` would otherwise
 * strip the methods of the value (`whitelist`) or refuse it (`forbidUnknownValues`), as it has no class-validator
 * rules.
 */
function leaveUnvalidated(target: object, method: string | symbol, index: number): void {
  const types = Reflect.getOwnMetadata('design:paramtypes', target, method) as unknown[] | undefined;
  if (!types) return;
  Reflect.defineMetadata('design:paramtypes', types.with(index, Object), target, method);
}
