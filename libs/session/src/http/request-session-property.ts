import { Inject, Injectable } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import type { Session, SessionData } from '../model/session.js';
import { plainContext, plainRoute, type PlainRequest } from './plain-exchange.js';
import { SessionGate } from './session-gate.js';

/** A request that went through `SessionMiddleware` or `sessionMiddleware()`. */
export type RequestWithSession<R = unknown, T = SessionData> = R & { readonly session: Session<T> | null };

/** Under which a request carries the gate that answers for it; of the process, as two copies of the library may be loaded. */
const GATE = Symbol.for('nestjs-sessions/gate');

/** Looks without counting as an access, and counts when somebody makes use of what was found. */
const LOOKING = plainRoute({ noTouch: true });
const USING = plainRoute({});

/** Sets `request.session`. */
@Injectable()
export class RequestSessionProperty {
  constructor(@Inject(SessionGate) private readonly gate: SessionGate) {}

  /**
   * Sets `request.session` to the session of the request's cookie, or to null. Never rejects: where the store cannot be
   * asked, reading the property throws. Reading it records an access. Leaves a `session` alone that somebody else set.
   */
  async define(request: PlainRequest, response: ServerResponse): Promise<void> {
    Reflect.defineProperty(request, GATE, { value: this.gate, configurable: true });
    if ((request as { session?: unknown }).session !== undefined) return;
    let session: Session | null = null;
    let failure: { readonly error: unknown } | null = null;
    try {
      session = await this.gate.findSession(plainContext(request, response, LOOKING));
    } catch (error) {
      failure = { error };
    }
    let isUsed = false;
    Reflect.defineProperty(request, 'session', {
      configurable: true,
      enumerable: false,
      get: (): Session | null => {
        if (failure) throw failure.error;
        if (session && !isUsed) {
          isUsed = true;
          // The request is authenticated already: this asks the store for nothing but the access.
          this.gate.findSession(plainContext(request, response, USING)).catch(() => undefined);
        }
        return session;
      },
      set: (value: unknown) => {
        Reflect.defineProperty(request, 'session', { value, writable: true, configurable: true, enumerable: true });
      },
    });
  }
}

/** The gate that answers for a request, or null where it went through no middleware of ours. */
export function gateOf(request: object): SessionGate | null {
  return (Reflect.get(request, GATE) as SessionGate | undefined) ?? null;
}

/**
 * The session of a request that went through the middleware; null where there is none.
 *
 * @throws {SessionHttpException} 503 when the store could not be asked.
 */
export function sessionOf<T = SessionData>(request: object): Session<T> | null {
  return (request as { session?: Session<T> | null }).session ?? null;
}
