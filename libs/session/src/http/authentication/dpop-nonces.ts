import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto';
import { tenantPrefix } from '../../model/tenant.js';

/** How long a nonce is good for, ms. */
export const NONCE_LIFETIME = 5 * 60_000;
/** How far ahead of the store's time a nonce may be, ms: instances disagree about it by a little. */
const LEEWAY = 5_000;

const NONCE = /^([1-9a-z][0-9a-z]{0,9})\.([A-Za-z0-9_-]{43})$/;

/** Hands out nonces and recognises them (RFC 9449, 8 and 9): the server's time, signed. Nothing is kept. */
export class DpopNonces {
  constructor(
    private readonly keys: readonly KeyObject[],
    private readonly tenantOf: () => string,
  ) {}

  /** @param now Epoch ms. */
  issue(now: number): string {
    const [key] = this.keys;
    if (!key) throw new Error('there is a key for every secret: checked when the options were resolved');
    const instant = Math.floor(now).toString(36);
    return `${instant}.${this.digest(key, instant).toString('base64url')}`;
  }

  /** When a nonce of ours that is still good was issued, epoch ms; null for any other text. */
  issuedAt(nonce: string, now: number): number | null {
    const [, instant, tag] = NONCE.exec(nonce) ?? [];
    if (instant === undefined || tag === undefined) return null;
    const given = Buffer.from(tag, 'base64url');
    if (!this.keys.some((key) => timingSafeEqual(this.digest(key, instant), given))) return null;
    const at = parseInt(instant, 36);
    return now < at + NONCE_LIFETIME && at <= now + LEEWAY ? at : null;
  }

  private digest(key: KeyObject, instant: string): Buffer {
    return createHmac('sha256', key).update(tenantPrefix(this.tenantOf())).update(instant).digest();
  }
}
