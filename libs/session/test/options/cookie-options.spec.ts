import { resolveSessionOptions } from '../../src/options/resolve-options.js';
import type { SessionCookieOptions } from '../../src/options/session-module-options.js';

const resolve = (cookie: unknown) => resolveSessionOptions({ cookie: cookie as SessionCookieOptions }).cookie;

describe('cookie options (ASVS 3.3.1 to 3.3.5)', () => {
  it.each([
    [
      { name: 'session', secure: false },
      { name: 'session', secure: false, sameSite: 'lax' },
    ],
    [{ domain: 'example.com' }, { name: '__Secure-session', domain: 'example.com', secure: true }],
    [
      { domain: 'example.com', name: 'sid' },
      { name: 'sid', domain: 'example.com' },
    ],
    [
      { sameSite: 'none', partitioned: true },
      { name: '__Host-session', sameSite: 'none', partitioned: true },
    ],
    [
      { name: '__Secure-x', path: '/app' },
      { name: '__Secure-x', path: '/app' },
    ],
    [{ name: "a!#$%&'*+-.^_`|~9" }, { name: "a!#$%&'*+-.^_`|~9" }],
    [{ httpOnly: true, sameSite: 'strict' }, { sameSite: 'strict' }],
  ])('%j is possible', (cookie, expected) => {
    expect(resolve(cookie)).toMatchObject(expected);
  });

  it.each([
    [
      { secure: false },
      'cookie.secure: a cookie named __Host-session must be secure; for plain http during development use',
    ],
    [{ name: '__Secure-a', secure: false }, 'cookie.secure: a cookie named __Secure-a must be secure'],
    [{ name: '__SECURE-a', secure: false }, 'cookie.secure'],
    [
      { name: '__host-a', domain: 'example.com' },
      'cookie.domain: a cookie named __host-a cannot have a domain; name it "__Secure-a"',
    ],
    [{ path: '/app' }, 'cookie.path: a cookie named __Host-session needs the path "/"; name it "__Secure-session"'],
    [{ domain: 'example.com', name: '__Host-x' }, 'cookie.domain'],
    [{ name: 'session', secure: false, sameSite: 'none' }, 'cookie.sameSite: "none" needs secure: true'],
    [{ name: 'session', secure: false, partitioned: true }, 'cookie.partitioned: needs secure: true'],
    [{ name: 'session id' }, 'cookie.name: "session id" cannot name a cookie'],
    [{ name: 'a=b' }, 'cookie.name'],
    [{ name: 'a;b' }, 'cookie.name'],
    [{ name: 'a\r\nb' }, 'cookie.name'],
    [{ name: 'sitzung-ü' }, 'cookie.name'],
    [{ name: '' }, 'cookie.name: must not be empty'],
    [{ path: 'app', name: 'a' }, 'cookie.path: must begin with "/"'],
    [{ path: '/a;b', name: 'a' }, 'cookie: '],
    [{ domain: 'a b' }, 'cookie: '],
    [{ domain: 'a;b' }, 'cookie: '],
    [{ sameSite: 'maybe' }, 'cookie.sameSite: must be one of "lax", "strict", "none"'],
    [{ httpOnly: false }, 'cookie.httpOnly: cannot be switched off'],
    [{ maxAge: 5 }, 'cookie.maxAge: there is no such option'],
    [{ name: 'n'.repeat(4000) }, 'cookie: name, path and domain make it longer than 4096 bytes'],
    [{ name: 'a', path: `/${'p'.repeat(3800)}` }, 'cookie: name, path and domain make it longer than 4096 bytes'],
  ])('%j refuses to boot', (cookie, message) => {
    expect(() => resolve(cookie)).toThrow(message);
  });
});
