import { createSecretKey, randomBytes } from 'node:crypto';
import { clientDigestOf, fingerprintOf, matchesFingerprint } from '../../src/model/fingerprint.js';
import { cleanUserAgent, describeDevice, traitsOf } from '../../src/model/user-agent.js';
import { REAL_BROWSERS } from '../support/user-agents.js';

const key = createSecretKey(randomBytes(32));

describe('what a user agent says', () => {
  it.each(REAL_BROWSERS)('$name ($type), before and after its updates', ({ name, type, versions }) => {
    for (const version of versions) {
      const traits = traitsOf(version);
      expect([version, describeDevice(traits)]).toEqual([version, { name, deviceType: type }]);
      expect(traits.deviceType).toBe(type);
    }
  });

  it.each([
    ['curl/8.5.0', 'curl'],
    ['node', 'node'],
    ['PostmanRuntime/7.43.0', 'PostmanRuntime'],
    ['MyApp/1.2 (iPhone; iOS 17.1; Scale/3.00)', 'MyApp on iOS'],
    ['MyApp/5 CFNetwork/1485 Darwin/23.1.0', 'MyApp'],
    ['Mozilla/5.0', null],
    ['Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)', 'Googlebot'],
    ['', null],
    ['   ', null],
  ])('%j is %j', (userAgent, name) => {
    expect(describeDevice(traitsOf(userAgent)).name).toBe(name);
  });

  it.each([
    ['10 kB', 'x'.repeat(10_240)],
    ['10 kB of parentheses', 'Mozilla/5.0 ' + '('.repeat(10_240)],
    ['10 kB of spaces', `a${' '.repeat(10_240)}b`],
    ['CRLF', 'Chrome/1\r\nSet-Cookie: a=b\r\n\r\n<html>'],
    ['NUL and escape codes', '\u0000\u001b[31mChrome/130\u009b\u2028'],
    ['emoji', '😀'.repeat(600)],
    ['a product of emoji', '😀/1.0 (Windows NT 10.0)'],
    ['markup as a product', '<script>alert(1)</script>/1 x'],
    ['a lone surrogate', '\ud800/1'],
    ['a prototype key', '__proto__/1'],
    ['a constructor', 'constructor/1 (constructor)'],
  ])('hostile: %s gives short printable names and nothing else', (_, userAgent) => {
    const traits = traitsOf(userAgent);
    const { name } = describeDevice(traits);
    for (const text of [traits.browser, traits.os, name ?? '']) {
      expect(text).toMatch(/^[A-Za-z0-9 ._()+-]{0,90}$/);
    }
    expect(['mobile', 'tablet', 'desktop', 'unknown']).toContain(traits.deviceType);
    const kept = cleanUserAgent(userAgent);
    expect(kept.length).toBeLessThanOrEqual(512);
    expect(kept).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
  });
});

describe('client hints', () => {
  const windows = traitsOf(
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36',
  );

  it.each([
    ['"Google Chrome";v="131", "Chromium";v="131", "Not_A Brand";v="24"', '"Windows"', 'Chrome on Windows'],
    ['"Brave";v="131", "Chromium";v="131", "Not_A Brand";v="24"', '"Windows"', 'Brave on Windows'],
    ['"Not)A;Brand";v="8", "Chromium";v="131", "Microsoft Edge";v="131"', '"Windows"', 'Microsoft Edge on Windows'],
    ['"Chromium";v="131", "Not A(Brand";v="24"', '"Chromium OS"', 'Chrome on Chrome OS'],
    ['"Chromium";v="131"', '"Unknown"', 'Chrome on Windows'],
    ['garbage', 'Windows', 'Chrome on Windows'],
    ['"<b>";v="1"', '"\r\nX: y"', 'Chrome on Windows'],
    [`"${'x'.repeat(10_000)}";v="1"`, `"${'y'.repeat(10_000)}"`, 'Chrome on Windows'],
  ])('brands %s and platform %s: %s', (brands, platform, name) => {
    expect(describeDevice(windows, { brands, platform }).name).toBe(name);
  });

  it('tell the kind of device', () => {
    const unknown = traitsOf('Mozilla/5.0');
    const phone = traitsOf(
      'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36',
    );
    const typeOf = (...args: Parameters<typeof describeDevice>) => describeDevice(...args).deviceType;
    expect(typeOf(unknown, { mobile: '?1' })).toBe('mobile');
    expect(typeOf(unknown, { mobile: '?0', platform: '"Windows"' })).toBe('desktop');
    expect(typeOf(phone, { mobile: '?0', platform: '"Android"' })).toBe('tablet');
    expect(typeOf(phone, { mobile: 'yes' })).toBe('mobile');
    const tablet = traitsOf(
      'Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1.2 Mobile/15E148 Safari/604.1',
    );
    for (const mobile of ['?1', '?0', undefined]) expect(typeOf(tablet, { mobile })).toBe('tablet');
  });
});

describe('fingerprints', () => {
  const all = REAL_BROWSERS.flatMap(({ name, type, versions }) =>
    versions.map((userAgent) => ({ what: `${name}, ${type}`, userAgent })),
  );

  it('of thirty browsers and their updates, those match that are one browser on one system and kind of device', () => {
    expect(REAL_BROWSERS).toHaveLength(30);
    let matching = 0;
    for (const one of all) {
      const fingerprint = fingerprintOf(traitsOf(one.userAgent), key);
      for (const other of all) {
        const matches = matchesFingerprint(fingerprint, traitsOf(other.userAgent), [key]);
        expect([one.userAgent, other.userAgent, matches]).toEqual([
          one.userAgent,
          other.userAgent,
          one.what === other.what,
        ]);
        expect(clientDigestOf(traitsOf(one.userAgent)).equals(clientDigestOf(traitsOf(other.userAgent)))).toBe(matches);
        matching += matches ? 1 : 0;
      }
    }
    expect(matching).toBeGreaterThan(all.length);
  });

  it('are versioned and keyed; a key that no longer signs is still recognised', () => {
    const [chrome, firefox] = [traitsOf(all[0]?.userAgent ?? ''), traitsOf('Firefox/133.0')];
    const fresh = createSecretKey(randomBytes(32));
    const fingerprint = fingerprintOf(chrome, key);
    expect(fingerprint).toMatch(/^f1\.[A-Za-z0-9_-]{43}$/);
    expect(fingerprintOf(chrome, fresh)).not.toBe(fingerprint);
    expect(matchesFingerprint(fingerprint, chrome, [fresh, key])).toBe(true);
    expect(matchesFingerprint(fingerprint, firefox, [fresh, key])).toBe(false);
    expect(matchesFingerprint(fingerprint, chrome, [fresh])).toBe(false);
  });

  it('are the same under each of many keys, such as those of many applications in one process', () => {
    const chrome = traitsOf(all[0]?.userAgent ?? '');
    const keys = Array.from({ length: 30 }, () => createSecretKey(randomBytes(32)));
    const first = keys.map((each) => fingerprintOf(chrome, each));
    expect(new Set(first).size).toBe(keys.length);
    expect(keys.map((each) => fingerprintOf(chrome, each))).toEqual(first);
  });

  it.each([undefined, '', 'f2.' + 'A'.repeat(43), 'f1.short', 'f1.' + 'A'.repeat(44), 'a legacy value'])(
    'what this version did not make (%j) is no mismatch',
    (fingerprint) => {
      expect(matchesFingerprint(fingerprint, traitsOf('curl/8'), [key])).toBeNull();
    },
  );
});
