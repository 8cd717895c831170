import { createHmac, timingSafeEqual } from 'node:crypto';

/** How long a code is shown, ms (RFC 6238). */
const STEP = 30_000;

/** The code of an authenticator app for this secret, at this step. */
function codeAt(secret: string, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', secret).update(counter).digest();
  const number = mac.readUInt32BE((mac[19] ?? 0) & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}

/**
 * The step that a code belongs to, or null. The one before and the one after count too: clocks differ. Only steps after `since`
 * do, so that no code is good twice (ASVS 5.0, 6.5.1).
 */
export function stepOfCode(secret: string, code: string, at: number, since: number): number | null {
  const now = Math.floor(at / STEP);
  const steps = [now, now - 1, now + 1].filter((step) => step > since);
  return steps.find((step) => timingSafeEqual(Buffer.from(codeAt(secret, step)), Buffer.from(code))) ?? null;
}
