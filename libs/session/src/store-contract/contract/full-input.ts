import type { NewSession } from '../../model/session.js';

/** Input with every field of a session. */
export function fullInput(userId: string): NewSession {
  return {
    userId,
    email: 'ada@example.com',
    roles: ['user', 'admin'],
    data: { theme: 'dark', nested: { list: [1, 2, { three: 3 }] }, nothing: null },
    metadata: { userAgent: 'Mozilla/5.0', ip: '2001:db8::1', device: 'Firefox on Linux', fingerprint: 'v1:abc' },
    deviceId: 'device-1',
    deviceName: 'Laptop',
    deviceType: 'desktop',
    lastLocation: { ip: '2001:db8::1', country: 'PL', city: 'Kraków' },
    amr: ['pwd', 'otp'],
    acr: 'aal2',
    pending: true,
    rememberMe: true,
    actor: { userId: 'root', sessionId: 'A'.repeat(32) },
  };
}
