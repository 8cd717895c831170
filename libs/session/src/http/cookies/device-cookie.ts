import { createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { tenantPrefix } from '../../model/tenant.js';
import { LONGEST_COOKIE_AGE } from '../../options/cookie-attributes.js';
import { resolveDeviceCookie } from '../../options/cookie-options.js';
import type { ResolvedSessionOptions } from '../../options/resolved-options.js';
import type { HttpExchange } from '../exchange/http-exchange.js';
import { TokenCookie } from './token-cookie.js';

const GRAMMAR = /^(d1\.[A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})$/;

/** A browser's cookie value, and the device id that follows from it for one user. */
export interface BrowserDevice {
  readonly deviceId: string;
  readonly cookie: string;
}

/**
 * The cookie that recognises a browser without a device id, if the option `device.cookie` asks for one. It
 * authenticates nobody: it decides which session a sign-in replaces. Signed, so that clients cannot invent devices.
 */
export class DeviceCookie extends TokenCookie {
  private readonly enabled: boolean;

  constructor(private readonly options: ResolvedSessionOptions) {
    super(options.device.cookie ? resolveDeviceCookie(options.cookie, options.realm) : options.cookie);
    this.enabled = options.device.cookie;
  }

  /**
   * The browser's device for this user: the one in its cookie, or a new one; null if the option is off. Two users of
   * one browser get two device ids that cannot be linked.
   */
  deviceOf(exchange: HttpExchange, userId: string): BrowserDevice | null {
    if (!this.enabled) return null;
    const name = this.nameIn(exchange) ?? `d1.${randomBytes(16).toString('base64url')}`;
    const deviceId = hash('sha256', `nestjs-sessions/device\n${name}\n${userId}`, 'base64url').slice(0, 22);
    return { deviceId, cookie: `${name}.${this.tagsOf(name)[0]?.toString('base64url') ?? ''}` };
  }

  /** Keeps the cookie for another 400 days from `now`, epoch ms. */
  write(exchange: HttpExchange, { cookie }: BrowserDevice, now: number): void {
    this.set(exchange, cookie, { expiresAt: now + LONGEST_COOKIE_AGE, now });
  }

  /** The value of the browser's cookie, if this server signed it. */
  private nameIn(exchange: HttpExchange): string | null {
    for (const text of this.readAll(exchange)) {
      const [, name, tag] = GRAMMAR.exec(text) ?? [];
      if (name === undefined || tag === undefined) continue;
      const given = Buffer.from(tag, 'base64url');
      if (this.tagsOf(name).some((own) => timingSafeEqual(own, given))) return name;
    }
    return null;
  }

  /** One tag per key; the first one signs. */
  private tagsOf(name: string): Buffer[] {
    const tenant = tenantPrefix(this.options.currentTenant());
    return this.options.keys.device.map((key) => createHmac('sha256', key).update(tenant).update(name).digest());
  }
}
