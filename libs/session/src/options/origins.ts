/** Scheme and host of a native application or browser extension, such as `capacitor://localhost`. */
const NATIVE = /^(?!https?:|file:|data:|blob:|javascript:)[a-z][a-z0-9+.-]*:\/\/[^/?#@\s*]+$/;

/** `https://*.example.com`: every subdomain at any depth, not the domain itself. */
const WILDCARD = /^(https?:\/\/)\*\.([^*/]+\.[^*/]+)$/;

/** Whether the value has the form of an `Origin` header: scheme, host and port, without path or credentials. */
export function isOrigin(value: string): boolean {
  if (NATIVE.test(value)) return true;
  return /^https?:\/\/[^*]+$/.test(value) && URL.canParse(value) && new URL(value).origin === value;
}

/** An origin, or one whose first label is `*`. */
export function isOriginPattern(value: string): boolean {
  const [, scheme = '', domain = ''] = WILDCARD.exec(value) ?? [];
  return domain === '' ? isOrigin(value) : isOrigin(scheme + domain);
}

/** A function that tells whether an `Origin` is among the patterns. */
export function originMatcher(patterns: readonly string[]): (origin: string) => boolean {
  const exact = new Set(patterns.filter((pattern) => !WILDCARD.test(pattern)));
  const wild = patterns.flatMap((pattern) => {
    const [, scheme, domain] = WILDCARD.exec(pattern) ?? [];
    return scheme !== undefined && domain !== undefined ? [{ scheme, end: `.${domain}` }] : [];
  });
  return (origin) =>
    exact.has(origin) ||
    wild.some(({ scheme, end }) => {
      const isUnder = origin.startsWith(scheme) && origin.endsWith(end) && origin.length > scheme.length + end.length;
      return isUnder && isOrigin(origin);
    });
}
