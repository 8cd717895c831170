import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { CurrentSessionPipe, CurrentUserPipe, RequestSessionPipe } from './session-parameter.pipe.js';

const contextOf = createParamDecorator((_: undefined, context: ExecutionContext) => context);

/** The `RequestSession` of the request: what handlers sign in and out with. Needs no guard. */
export const ReqSession = (): ParameterDecorator => contextOf(RequestSessionPipe);

/** The `Session` of the request, or null where nobody is signed in (possible under `@Public()` or without a guard). */
export const CurrentSession = (): ParameterDecorator => contextOf(CurrentSessionPipe);

/**
 * The user of the request: `{ id, email, roles }`, or what the option `resolveUser` returns. Null where nobody is signed
 * in (possible under `@Public()` or without a guard).
 */
export const CurrentUser = (): ParameterDecorator => contextOf(CurrentUserPipe);
