/** Why a session ended, for the person in front of the page. */
const ENDS = {
  logout: 'You are signed out.',
  revoked: 'This device was signed out from another device.',
  admin: 'An administrator signed this device out.',
  evicted: 'This device was signed out because you signed in on another one and have reached the limit of devices.',
  replaced: 'This sign-in ended because you signed in again in this browser.',
  idle: 'You were signed out because nothing happened for a while.',
  absolute: 'You were signed out because you signed in long ago.',
  reuse: 'This device was signed out because somebody else may have used its sign-in. Change your password.',
  hijack: 'This device was signed out because somebody else may have used its sign-in. Change your password.',
};

const ENDS_BY_CODE = {
  session_expired: 'You were signed out because nothing happened for a while.',
  session_evicted: ENDS.evicted,
  session_replaced: ENDS.replaced,
  session_revoked: ENDS.revoked,
  session_ended: ENDS.logout,
};

/** @param {{ code: string, reason: string | null }} end */
export function whyOver({ code, reason }) {
  return ENDS[reason ?? ''] ?? ENDS_BY_CODE[code] ?? 'Your session is over. Sign in again.';
}

const PAST_ENDS = {
  logout: 'Signed out',
  revoked: 'Signed out from another device',
  admin: 'Signed out by an administrator',
  evicted: 'Signed out at the limit of devices',
  replaced: 'Replaced by a new sign-in in the same browser',
  idle: 'Signed out after a time without activity',
  absolute: 'Signed out after the longest time',
  reuse: 'Signed out: its sign-in was used twice',
  hijack: 'Signed out: another client used its sign-in',
};

const EVENTS = {
  created: 'Signed in',
  regenerated: 'Confirmed the password',
  refreshed: 'Renewed its access',
  'new-device': 'A new device',
  'reuse-detected': 'A copied sign-in was used',
  'hijack-suspected': 'Something about the client changed',
  'use-after-end': 'A sign-in that is over was used',
  'limit-reached': 'A sign-in was refused at the limit of devices',
  'impersonation-started': 'An administrator acted as you',
  'sign-in-failed': 'A sign-in failed',
  bound: 'Protected by the device',
};

/** @param {{ type: string, reason: string | null }} entry */
export function whatHappened({ type, reason }) {
  if (type === 'ended') return PAST_ENDS[reason ?? ''] ?? 'Signed out';
  return EVENTS[type] ?? type;
}

const STEPS = /** @type {const} */ ([
  ['minute', 60_000, 60],
  ['hour', 3_600_000, 24],
  ['day', 86_400_000, Infinity],
]);
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

/** "3 minutes ago". @param {number} ms */
export function ago(ms) {
  if (ms < 60_000) return 'just now';
  for (const [unit, size, most] of STEPS) {
    const count = Math.floor(ms / size);
    if (count < most) return relative.format(-count, unit);
  }
  return '';
}

const LOCAL = /^(127\.|::1$|::ffff:127\.)/;

/** @param {{ ip: string | null, lastLocation: { city?: string, country?: string } | null }} session */
export function place({ ip, lastLocation }) {
  const named = [lastLocation?.city, lastLocation?.country].filter(Boolean).join(', ');
  if (named) return named;
  if (ip === null || ip === '') return 'Unknown place';
  return LOCAL.test(ip) ? 'Local network' : ip;
}
