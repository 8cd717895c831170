import { BROWSER_MAP, parse } from 'bowser';
import { LRUCache } from 'lru-cache';
import type { DeviceType } from './session.js';

/** Longest user agent that is parsed and kept, UTF-16 units. */
export const MAX_USER_AGENT_LENGTH = 512;

/** How many parsed user agents are cached: most clients of a site share a few. */
const REMEMBERED = 1_000;

/** Names that are safe in lists and logs. */
const PRINTABLE_NAME = /^[A-Za-z0-9][A-Za-z0-9 ._()+-]{0,39}$/;

/** RFC 9110, 10.1.5: the product comes first, for instance `curl/8.5.0`. */
const PRODUCT = /^([A-Za-z][A-Za-z0-9._-]{0,39})(?=[/ ]|$)/;

const UNKNOWN = 'unknown';

/** The content of a user agent, without versions, so that an update changes nothing. */
export interface ClientTraits {
  /** Such as `Chrome`; the product's name if it is not a browser; otherwise `unknown`. */
  readonly browser: string;
  /** Such as `Windows`, or `unknown`. */
  readonly os: string;
  readonly deviceType: DeviceType;
}

/** The User-Agent Client Hints that browsers send by default. */
export interface ClientHints {
  /** `Sec-CH-UA` */
  readonly brands?: string | undefined;
  /** `Sec-CH-UA-Mobile` */
  readonly mobile?: string | undefined;
  /** `Sec-CH-UA-Platform` */
  readonly platform?: string | undefined;
}

/** A readable description of a device. */
export interface DeviceDescription {
  readonly deviceType: DeviceType;
  /** Such as "Chrome on Windows"; null if nothing is known. */
  readonly name: string | null;
}

/** Names that the parser defines. It takes other names from the text, where the client chose them. */
const BROWSERS: ReadonlySet<string> = new Set(Object.values(BROWSER_MAP));

const known = new LRUCache<string, ClientTraits>({ max: REMEMBERED });

/** A user agent as one line of bounded length: with control characters a client could write its own log lines. */
export function cleanUserAgent(userAgent: string): string {
  return userAgent
    .slice(0, MAX_USER_AGENT_LENGTH)
    .replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
    .trim();
}

/** Browser, system and kind of device. Never throws. */
export function traitsOf(userAgent: string): ClientTraits {
  // Under the text as it came, so that most requests need not clean it.
  const key = userAgent.slice(0, MAX_USER_AGENT_LENGTH);
  // Not `get`, which notes the use: a client that is evicted although it is used is parsed again.
  const remembered = known.peek(key);
  if (remembered) return remembered;
  const traits = parsed(cleanUserAgent(key));
  known.set(key, traits);
  return traits;
}

/** The device's name and type, from the user agent and, where present, the more exact hints. */
export function describeDevice(traits: ClientTraits, hints: ClientHints = {}): DeviceDescription {
  const browser = brandIn(hints.brands) ?? traits.browser;
  const os = quoted(hints.platform) ?? traits.os;
  const names = [browser, os].filter((name) => name !== UNKNOWN);
  return { deviceType: hintedType(traits.deviceType, hints), name: names.length > 0 ? names.join(' on ') : null };
}

function parsed(text: string): ClientTraits {
  // The parser throws for empty text.
  if (text === '') return { browser: UNKNOWN, os: UNKNOWN, deviceType: UNKNOWN };
  const { browser, os, platform } = parse(text);
  return {
    browser: browser.name !== undefined && BROWSERS.has(browser.name) ? browser.name : productOf(text),
    os: os.name !== undefined && PRINTABLE_NAME.test(os.name) ? os.name : UNKNOWN,
    deviceType: typeOf(platform.type, os.name),
  };
}

function productOf(text: string): string {
  const product = PRODUCT.exec(text)?.[1];
  // Nearly every browser claims to be Mozilla.
  return product === undefined || product === 'Mozilla' ? UNKNOWN : product;
}

function typeOf(platform: string | undefined, os: string | undefined): DeviceType {
  if (platform === 'mobile' || platform === 'tablet' || platform === 'desktop') return platform;
  return platform === undefined && os === 'Chrome OS' ? 'desktop' : UNKNOWN;
}

/** The first brand that is neither the engine nor a GREASE entry. */
function brandIn(brands: string | undefined): string | null {
  if (brands === undefined) return null;
  for (const [, brand = ''] of brands.slice(0, MAX_USER_AGENT_LENGTH).matchAll(/"([^"]{1,40})"\s*;\s*v=/g)) {
    if (brand === 'Chromium' || /not.*brand/i.test(brand) || !PRINTABLE_NAME.test(brand)) continue;
    return BRANDS[brand] ?? brand;
  }
  return null;
}

/** The parser's names, so that a browser has the same name with and without hints. */
const BRANDS: Readonly<Record<string, string>> = { 'Google Chrome': 'Chrome', 'Chromium OS': 'Chrome OS' };

function quoted(value: string | undefined): string | null {
  const text = value === undefined ? undefined : /^"([^"]{1,40})"$/.exec(value.trim())?.[1];
  if (text === undefined || text.toLowerCase() === UNKNOWN || !PRINTABLE_NAME.test(text)) return null;
  return BRANDS[text] ?? text;
}

function hintedType(type: DeviceType, { mobile, platform }: ClientHints): DeviceType {
  if (mobile === '?1') return type === 'tablet' ? type : 'mobile';
  if (mobile !== '?0' || type === 'tablet') return type;
  return quoted(platform) === 'Android' ? 'tablet' : 'desktop';
}
