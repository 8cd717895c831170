import { Inject, type InjectionToken } from '@nestjs/common';
import { assertRealmName } from '../options/realm-name.js';

/** By token and realm. */
const tokens = new Map<InjectionToken, Map<string, symbol>>();

/**
 * The injection token of a service in a realm, for providers and tests.
 *
 * ```ts
 * const staff = app.get<SessionService>(getSessionToken(SessionService, 'admin'));
 * ```
 *
 * @param service One of the services of `SessionModule`, `SessionStore`, `SessionHistory`, `TokenBlacklist` or `SESSION_OPTIONS`.
 * @throws {ConfigurationError} if it is not the name of a realm.
 */
export function getSessionToken(service: InjectionToken, realm: string): symbol {
  assertRealmName(realm, 'getSessionToken');
  const ofService = tokens.get(service) ?? new Map<string, symbol>();
  tokens.set(service, ofService);
  const name = typeof service === 'function' ? service.name : String(service);
  const token = ofService.get(realm) ?? Symbol(`${name} of realm ${realm}`);
  ofService.set(realm, token);
  return token;
}

/**
 * Injects a service of a realm.
 *
 * ```ts
 * constructor(@InjectSession(SessionService, 'admin') private readonly staff: SessionService) {}
 * ```
 */
export const InjectSession = (service: InjectionToken, realm: string): PropertyDecorator & ParameterDecorator =>
  Inject(getSessionToken(service, realm));
