import { BROWSER_MAP, parse } from 'bowser';
import { LRUCache } from 'lru-cache';
import type { DeviceType } from './session.js';

/** Longest user agent that is looked at and kept, UTF-16 units. */
export const MAX_USER_AGENT_LENGTH = 512;

/** How many user agents are remembered: most clients of a site share a few. */
const REMEMBERED = 1_000;

/** What a browser, system or product may be called in lists and logs. */
const PRINTABLE_NAME = /^[A-Za-z0-9][A-Za-z0-9 ._()+-]{0,39}$/;

/** RFC 9110, 10.1.5: what stands in front names the product, for instance `curl/8.5.0`. */
const PRODUCT = /^([A-Za-z][A-Za-z0-9._-]{0,39})(?=[/ ]|$)/;

const UNKNOWN = 'unknown';

/** What a user agent says: families without versions, so that no update changes them. */
export interface UserAgentFamilies {
  /** Such as `Chrome`; the product's own name where it is no browser; `unknown` where it has none. */
  readonly browser: string;
  /** Such as `Windows`, or `unknown`. */
  readonly os: string;
  readonly deviceType: DeviceType;
}

/** The User-Agent Client Hints that browsers send unasked. */
export interface ClientHints {
  /** `Sec-CH-UA` */
  readonly brands?: string | undefined;
  /** `Sec-CH-UA-Mobile` */
  readonly mobile?: string | undefined;
  /** `Sec-CH-UA-Platform` */
  readonly platform?: string | undefined;
}

/** A device as a person would name it. */
export interface DeviceDescription {
  readonly deviceType: DeviceType;
  /** Such as "Chrome on Windows"; null where nothing is known. */
  readonly name: string | null;
}

/** Names that are the parser's own; other names it takes out of the text, where the client chose them. */
const BROWSERS: ReadonlySet<string> = new Set(Object.values(BROWSER_MAP));

const known = new LRUCache<string, UserAgentFamilies>({ max: REMEMBERED });

/** A user agent as one line of bounded length: control characters would let a client write lines of its own into logs. */
export function cleanUserAgent(userAgent: string): string {
  return userAgent
    .slice(0, MAX_USER_AGENT_LENGTH)
    .replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
    .trim();
}

/** Browser, system and device kind. Never throws, whatever the text. */
export function familiesOf(userAgent: string): UserAgentFamilies {
  const text = cleanUserAgent(userAgent);
  const remembered = known.get(text);
  if (remembered) return remembered;
  const families = parsed(text);
  known.set(text, families);
  return families;
}

/** The device's name and type: of the user agent, made better by the hints where there are any. */
export function describeDevice(families: UserAgentFamilies, hints: ClientHints = {}): DeviceDescription {
  const browser = brandIn(hints.brands) ?? families.browser;
  const os = quoted(hints.platform) ?? families.os;
  const names = [browser, os].filter((name) => name !== UNKNOWN);
  return { deviceType: hintedType(families.deviceType, hints), name: names.length > 0 ? names.join(' on ') : null };
}

function parsed(text: string): UserAgentFamilies {
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
  // Which everybody claims to be.
  return product === undefined || product === 'Mozilla' ? UNKNOWN : product;
}

function typeOf(platform: string | undefined, os: string | undefined): DeviceType {
  if (platform === 'mobile' || platform === 'tablet' || platform === 'desktop') return platform;
  return platform === undefined && os === 'Chrome OS' ? 'desktop' : UNKNOWN;
}

/** The first brand that is neither the engine's nor there to keep parsers honest. */
function brandIn(brands: string | undefined): string | null {
  if (brands === undefined) return null;
  for (const [, brand = ''] of brands.slice(0, MAX_USER_AGENT_LENGTH).matchAll(/"([^"]{1,40})"\s*;\s*v=/g)) {
    if (brand === 'Chromium' || /not.*brand/i.test(brand) || !PRINTABLE_NAME.test(brand)) continue;
    return BRANDS[brand] ?? brand;
  }
  return null;
}

/** As the parser calls them, so that one browser has one name with and without hints. */
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
