import { Logger, type ExecutionContext } from '@nestjs/common';
import { AuthenticationError } from '../../model/errors.js';

const logger = new Logger('SessionGuard');

/** What to do about it, by the kind of context. */
const ADVICE: Readonly<Record<string, string>> = {
  ws: 'Nobody authenticated this socket, so it has no session: write app.useWebSocketAdapter(withSessions(adapter, app)), from nestjs-sessions/websockets.',
  rpc: 'A message of a microservice comes with no request, so it has no session: put @Public() on its handler, and check there what the message carries, for instance by TokenService.verify().',
  graphql:
    'The GraphQL context has no request, so there is no session: set the option context: graphqlContext, from nestjs-sessions/graphql.',
};

const advised = new Set<string>();

/** The refusal of what has no request to look at. Says once for each kind in the log what to do. */
export function withoutRequest(
  host: Pick<ExecutionContext, 'getType' | 'getClass' | 'getHandler'>,
): AuthenticationError {
  const type: string = host.getType();
  const advice = ADVICE[type] ?? 'There is no HTTP request here, so there is no session.';
  if (!advised.has(type)) {
    advised.add(type);
    logger.error(`${host.getClass().name}.${host.getHandler().name} is refused. ${advice}`);
  }
  return new AuthenticationError('session_required', advice);
}
