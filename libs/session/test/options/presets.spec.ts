import { resolveSessionOptions } from '../../src/options/resolve-options.js';
import type { SessionModuleOptions } from '../../src/options/session-module-options.js';
import { secretOf } from '../support/secrets.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe('presets after NIST SP 800-63B-4', () => {
  it.each([
    [
      'aal1',
      { absoluteTimeout: 30 * DAY, idleTimeout: 14 * DAY, freshness: 15 * MINUTE },
      { cookie: 'reject', bearer: 'log' },
    ],
    [
      'aal2',
      { absoluteTimeout: 24 * HOUR, idleTimeout: HOUR, freshness: 5 * MINUTE },
      { cookie: 'reject', bearer: 'log' },
    ],
    [
      'aal3',
      { absoluteTimeout: 12 * HOUR, idleTimeout: 15 * MINUTE, freshness: 5 * MINUTE },
      { cookie: 'reject', bearer: 'reject' },
    ],
  ] as const)('%s has its numbers, for those who asked to be remembered as well', (preset, numbers, useFingerprint) => {
    const { absoluteTimeout, idleTimeout } = numbers;
    expect(resolveSessionOptions({ preset })).toMatchObject({
      session: { ...numbers, rememberMe: { absoluteTimeout, idleTimeout } },
      security: { useFingerprint, bindToIP: { cookie: 'off', bearer: 'off' } },
    });
  });

  it('what is set beside it counts, also where it is less strict; the rest keeps the defaults', () => {
    const resolved = resolveSessionOptions({
      preset: 'aal3',
      session: { idleTimeout: '2h', rememberMe: { absoluteTimeout: '7d' }, onLimit: 'reject', freshness: undefined },
      security: { useFingerprint: false, idLength: 40 },
      keyPrefix: 'x:',
    });
    expect(resolved).toMatchObject({
      session: {
        idleTimeout: 2 * HOUR,
        absoluteTimeout: 12 * HOUR,
        freshness: 5 * MINUTE,
        rememberMe: { idleTimeout: 15 * MINUTE, absoluteTimeout: 7 * DAY },
        onLimit: 'reject',
        maxSessionsPerUser: 5,
      },
      security: { useFingerprint: { cookie: 'off', bearer: 'off' }, idLength: 40 },
      keyPrefix: 'x:',
    });
  });

  it.each<[object, string]>([
    [{ preset: 'aal4' }, 'preset: must be one of "aal1", "aal2", "aal3"'],
    [{ preset: '__proto__' }, 'preset: must be one of'],
    [{ preset: 2 }, 'preset: must be one of'],
    [{ preset: 'aal2', session: null }, 'session: must be an object'],
    [{ preset: 'aal2', session: { rememberMe: 5 } }, 'session.rememberMe: must be an object'],
    [{ preset: 'aal2', security: [] }, 'security: must be an object'],
    [{ preset: 'aal2', session: { idleTimout: 5 } }, 'did you mean "idleTimeout"'],
  ])('%j stops the boot', (options, message) => {
    expect(() => resolveSessionOptions(options as SessionModuleOptions)).toThrow(message);
  });
});

describe('options of devices and security', () => {
  it.each<[object, string]>([
    [
      { session: { maxSessionsPerDeviceType: { mobile: 0 } } },
      'session.maxSessionsPerDeviceType.mobile: must be a whole number from 1 to 1000',
    ],
    [{ session: { maxSessionsPerDeviceType: { phone: 2 } } }, 'session.maxSessionsPerDeviceType'],
    [
      { session: { maxSessionsPerDeviceType: 2 } },
      'session.maxSessionsPerDeviceType: must be an object of unknown, mobile, tablet, desktop',
    ],
    [{ session: { freshness: 'soon' } }, 'session.freshness: "soon" is not a duration'],
    [{ security: { ipPrivacy: 'half' } }, 'security.ipPrivacy: must be one of "full", "truncated", "none"'],
    [
      { security: { ipPrivacy: 'none', bindToIP: 'log' } },
      'security.bindToIP: compares addresses, and security.ipPrivacy "none" keeps none',
    ],
    [{ device: { cookie: 'yes' } }, 'device.cookie: must be true or false'],
    [{ device: { cookies: true } }, 'did you mean "cookie"'],
    [{ locate: 'here' }, 'locate: must be a function'],
    [{ mergeAnonymous: {} }, 'mergeAnonymous: must be a function'],
  ])('%j stops the boot and says how to fix it', (options, message) => {
    expect(() => resolveSessionOptions(options as SessionModuleOptions)).toThrow(message);
  });

  it('fingerprints, devices and tokens have keys of their own', () => {
    const { keys } = resolveSessionOptions({ secrets: [secretOf('x'), secretOf('y')] });
    const all = [keys.credential, keys.fingerprint, keys.device, keys.jwt]
      .flat()
      .map((key) => key.export().toString('hex'));
    expect(new Set(all).size).toBe(8);
  });
});
