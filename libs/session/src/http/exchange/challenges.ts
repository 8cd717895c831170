import type { HttpExchange } from './http-exchange.js';
import { requestSlot } from './request-slot.js';

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

const noted = requestSlot<ChallengeSettings>();

/** From now on refusals of the request say so. */
export function noteChallenges(exchange: HttpExchange, settings: ChallengeSettings): void {
  noted.put(exchange.node, settings);
}

/** Null where only bearer tokens and cookies count. */
export function challengesOf(exchange: HttpExchange): ChallengeSettings | null {
  return noted.find(exchange.node) ?? null;
}
