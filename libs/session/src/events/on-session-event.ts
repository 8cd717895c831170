import { ConfigurationError } from '../model/errors.js';
import { SESSION_EVENT_NAMES, type SessionEventName, type SessionEventNamed } from '../model/events.js';

const NAMES_KEY = 'nestjs-sessions:on-session-event';

/**
 * Calls the method for every event with one of these names, of this instance and of others (`remote`). For methods of singleton
 * providers and controllers. Errors are logged.
 *
 * ```ts
 * @OnSessionEvent('ended')
 * async tell({ userId, reason, remote }: SessionEndedEvent) {}
 * ```
 *
 * @throws {ConfigurationError} for an unknown name, when the class is loaded.
 */
export function OnSessionEvent<N extends SessionEventName>(
  ...names: [N, ...N[]]
): <M extends (event: SessionEventNamed<N>) => unknown>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<M>,
) => void {
  const unknown = names.find((name) => !SESSION_EVENT_NAMES.includes(name));
  if (unknown !== undefined || names.length === 0) {
    throw new ConfigurationError(
      `OnSessionEvent: ${unknown === undefined ? 'needs a name' : `there is no event "${unknown}"`}; there are ${SESSION_EVENT_NAMES.join(', ')}.`,
    );
  }
  return (_target, _key, descriptor) => {
    const method = descriptor.value as unknown as object;
    Reflect.defineMetadata(NAMES_KEY, [...(listenedNames(method) ?? []), ...names], method);
  };
}

/** The event names of a decorated method, or undefined. */
export function listenedNames(method: object): SessionEventName[] | undefined {
  return Reflect.getMetadata(NAMES_KEY, method) as SessionEventName[] | undefined;
}
