import type { HttpExchange } from './http-exchange.js';

/** `Bearer` (RFC 6750, 2.1), or `DPoP` (RFC 9449, 7.1) for tokens that count only with a proof of their key. */
export type TokenScheme = 'bearer' | 'dpop';

/** Which of the two schemes an Authorization header names, or null. */
export function schemeOf(header: string): TokenScheme | null {
  const named = /^(bearer|dpop)(?:\s|$)/i.exec(header)?.[1]?.toLowerCase();
  return named === 'bearer' || named === 'dpop' ? named : null;
}

/** What an application tells clients of how to authenticate, where it takes tokens that are bound to keys. */
export interface ChallengeSettings {
  /** Algorithms of proofs. */
  readonly algorithms: readonly string[];
  /** Whether bearer tokens count too. */
  readonly bearer: boolean;
}

const NOTED = Symbol('nestjs-sessions/challenge-settings');

/** From now on refusals of the request say so. */
export function noteChallenges(exchange: HttpExchange, settings: ChallengeSettings): void {
  Reflect.defineProperty(exchange.node, NOTED, { value: settings, configurable: true });
}

/** Null where only bearer tokens and cookies count. */
export function challengesOf(exchange: HttpExchange): ChallengeSettings | null {
  return (Reflect.get(exchange.node, NOTED) as ChallengeSettings | undefined) ?? null;
}
