// What a stranger needs to try the page. A page of your own has none of this.

export const ACCOUNTS = [
  { email: 'user@example.com', password: 'user-password-1', what: 'A user' },
  { email: 'factor@example.com', password: 'factor-password-1', what: 'A user with two-step verification' },
  { email: 'admin@example.com', password: 'admin-password-1', what: 'An administrator' },
];

/** The demo user's shared secret, as text; real ones never leave the server again. */
const SECRET = 'the demo secret of factor@example.com';

/** The present code of the demo user (RFC 6238), in place of an authenticator app. */
export async function demoCode(now = Date.now()) {
  const raw = new TextEncoder().encode(SECRET);
  const key = await crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-1' }, false, ['sign']);
  const counter = new DataView(new ArrayBuffer(8));
  counter.setBigUint64(0, BigInt(Math.floor(now / 30_000)));
  const mac = new DataView(await crypto.subtle.sign('HMAC', key, counter.buffer));
  const number = mac.getUint32(mac.getUint8(19) & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}
