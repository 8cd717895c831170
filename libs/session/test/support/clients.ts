import { REAL_BROWSERS } from './user-agents.js';

/** The user agent of a real browser, of its first version or a later one. */
export function userAgentOf(name: string, version = 0, type?: string): string {
  const browser = REAL_BROWSERS.find((each) => each.name === name && (type === undefined || each.type === type));
  const userAgent = browser?.versions[version];
  if (userAgent === undefined) throw new Error(`no version ${version} of ${name}`);
  return userAgent;
}

export const CHROME = userAgentOf('Chrome on Windows');
export const CHROME_UPDATED = userAgentOf('Chrome on Windows', 1);
export const FIREFOX = userAgentOf('Firefox on Windows');
export const SAFARI_ON_IPHONE = userAgentOf('Safari on iOS', 0, 'mobile');
