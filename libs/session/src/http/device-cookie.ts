import { Inject, Injectable } from '@nestjs/common';
import { createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { SessionError } from '../model/errors.js';
import { resolveDeviceCookie } from '../options/cookie-options.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import type { HttpExchange } from './http-exchange.js';
import { TokenCookie } from './token-cookie.js';

/** 400 days, the longest that browsers keep a cookie (RFC 6265bis, 5.5). */
const LIFETIME = 400 * 24 * 60 * 60_000;

const GRAMMAR = /^(d1\.[A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})$/;

/** A browser as its cookie names it: what the cookie says, and the device id of one user on it. */
export interface BrowserDevice {
  readonly deviceId: string;
  readonly cookie: string;
}

/**
 * The cookie by which a browser that names no device is told again, where the option `device.cookie` asks for one. It lets
 * nobody in: it says which session a sign-in replaces. Signed, so that nobody makes up devices.
 */
@Injectable()
export class DeviceCookie extends TokenCookie {
  private readonly enabled: boolean;

  constructor(@Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions) {
    super(options.device.cookie ? resolveDeviceCookie(options.cookie) : options.cookie);
    this.enabled = options.device.cookie;
  }

  /**
   * The browser's device for this user: the one its cookie names, or a new one; null where the option is off. Two users of
   * one browser have two device ids, which cannot be told to belong together.
   */
  deviceOf(exchange: HttpExchange, userId: string): BrowserDevice | null {
    if (!this.enabled) return null;
    const name = this.nameIn(exchange) ?? `d1.${randomBytes(16).toString('base64url')}`;
    const deviceId = hash('sha256', `nestjs-sessions/device\n${name}\n${userId}`, 'base64url').slice(0, 22);
    return { deviceId, cookie: `${name}.${this.tagsOf(name)[0]?.toString('base64url') ?? ''}` };
  }

  /** Has the browser keep its name for another 400 days from `now`, epoch ms. */
  write(exchange: HttpExchange, { cookie }: BrowserDevice, now: number): void {
    this.set(exchange, cookie, { expiresAt: now + LIFETIME, now });
  }

  /** What the browser's cookie says, where we signed it. One that is there twice counts as none. */
  private nameIn(exchange: HttpExchange): string | null {
    let text: string | null;
    try {
      text = this.read(exchange);
    } catch (error) {
      if (error instanceof SessionError) return null;
      throw error;
    }
    const [, name, tag] = GRAMMAR.exec(text ?? '') ?? [];
    if (name === undefined || tag === undefined) return null;
    const given = Buffer.from(tag, 'base64url');
    return this.tagsOf(name).some((own) => timingSafeEqual(own, given)) ? name : null;
  }

  /** One for each key; the first signs. */
  private tagsOf(name: string): Buffer[] {
    return this.options.keys.device.map((key) => createHmac('sha256', key).update(name).digest());
  }
}
