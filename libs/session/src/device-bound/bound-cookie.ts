import { stringifySetCookie } from 'cookie';
import { TokenCookie } from '../http/cookies/token-cookie.js';
import type { HttpExchange } from '../http/exchange/http-exchange.js';
import type { DeviceBinding } from '../model/device-binding.js';
import type { ResolvedDeviceBoundOptions } from '../options/resolved-options.js';
import type { BindingTags } from './binding-tags.js';

/** A browser renews the cookie this long before we refuse it, so that none ends on the way. */
const MARGIN = 30_000;
/** How far ahead of the store's time a cookie may be, ms: instances disagree about it by a little. */
const LEEWAY = 5_000;

/**
 * The cookie that proves the device of a bound session for `deviceBound.refresh`: an instant, signed for this session and this
 * key. It is checked without asking anybody, and worth nothing without the session cookie.
 */
export class BoundCookie extends TokenCookie {
  private readonly refresh: number;

  constructor(
    { cookie, refresh }: ResolvedDeviceBoundOptions,
    private readonly tags: BindingTags,
  ) {
    super(cookie);
    this.refresh = refresh;
  }

  /** Name and attributes as browsers want to hear of them (DBSC, "JSON Session Credentials Format"). */
  describe(): { type: 'cookie'; name: string; attributes: string } {
    const line = stringifySetCookie(this.name, '', this.attributes);
    return { type: 'cookie', name: this.name, attributes: line.slice(line.indexOf(';') + 1).trim() };
  }

  /** Whether the request brings a good one. */
  isProven(exchange: HttpExchange, sessionId: string, { thumbprint }: DeviceBinding, now: number): boolean {
    return this.readAll(exchange).some((text) => {
      const at = this.tags.instantOf('cookie', [sessionId, thumbprint], text);
      return at !== null && now < at + this.refresh && at <= now + LEEWAY;
    });
  }

  /** Sets one that is good from `now` on. */
  write(exchange: HttpExchange, sessionId: string, { thumbprint }: DeviceBinding, now: number): void {
    const age = this.refresh - Math.min(MARGIN, this.refresh / 4);
    const value = this.tags.stamp('cookie', [sessionId, thumbprint], now);
    this.set(exchange, value, { expiresAt: now + Math.floor(age / 1000) * 1000, now });
  }
}
