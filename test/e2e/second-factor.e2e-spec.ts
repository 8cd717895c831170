import { createHmac } from 'node:crypto';
import { DEMO_USERS } from '../../src/users/demo-users.js';
import { stepOfCode } from '../../src/users/one-time-code.js';
import type { Browser } from './support/browser.js';
import { ADAPTERS, Sample } from './support/sample.js';

const FACTOR = { email: 'factor@example.com', password: 'factor-password-1' };
const secret = DEMO_USERS.find(({ email }) => email === FACTOR.email)?.codeSecret ?? '';

/** As an authenticator app computes it. */
function codeNow(): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const mac = createHmac('sha1', secret).update(counter).digest();
  const number = mac.readUInt32BE((mac[19] ?? 0) & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}

describe('codes of authenticator apps', () => {
  // RFC 6238, appendix B, the last six of eight digits.
  it.each([
    [59, '287082'],
    [1111111109, '081804'],
    [1234567890, '005924'],
    [20000000000, '353130'],
  ])('are those of RFC 6238 at %d s', (seconds, code) => {
    const step = Math.floor(seconds / 30);
    expect(stepOfCode('12345678901234567890', code, seconds * 1000, 0)).toBe(step);
    // A clock that is half a minute off is no obstacle, one that is further off is.
    expect(stepOfCode('12345678901234567890', code, (seconds + 30) * 1000, 0)).toBe(step);
    expect(stepOfCode('12345678901234567890', code, (seconds + 90) * 1000, 0)).toBeNull();
    expect(stepOfCode('12345678901234567890', code, seconds * 1000, step)).toBeNull();
  });
});

describe.each(ADAPTERS)('a user with a second factor, %s', (adapter) => {
  let sample: Sample;

  beforeAll(async () => {
    sample = await Sample.start({ adapter });
  });
  afterAll(() => sample.close());

  const passwordGiven = async (): Promise<Browser> => {
    const browser = sample.browser();
    const reply = await browser.signIn(FACTOR);
    expect([reply.status, reply.body.session.pending]).toEqual([200, true]);
    return browser;
  };

  it('is refused everywhere until the code came, and no code is good twice (ASVS 5.0, 6.5.1)', async () => {
    const browser = await passwordGiven();
    expect((await browser.get('/sessions')).body.code).toBe('pending_authentication');
    const code = codeNow();
    const wrong = code === '123456' ? '123457' : '123456';
    expect((await browser.post('/auth/second-factor', { code: wrong })).body.code).toBe('wrong_code');
    expect((await browser.post('/auth/second-factor', { code: 'a code' })).status).toBe(400);
    const before = browser.token;
    const reply = await browser.post('/auth/second-factor', { code });
    expect([reply.status, reply.body.session.pending]).toEqual([200, false]);
    expect(browser.token).not.toBe(before);
    expect((await browser.get('/me')).body.email).toBe(FACTOR.email);

    const thief = await passwordGiven();
    expect((await thief.post('/auth/second-factor', { code })).body.code).toBe('wrong_code');
    // Who is signed in already has no use for the route.
    expect((await browser.post('/auth/second-factor', { code: codeNow() })).body.code).toBe('wrong_code');
  });

  it('has ten guesses a minute', async () => {
    const browser = await passwordGiven();
    const statuses: number[] = [];
    for (let guess = 0; guess < 12; guess += 1) {
      statuses.push((await browser.post('/auth/second-factor', { code: `00000${guess % 10}` })).status);
    }
    expect(statuses).toContain(429);
    expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(10);
  });
});
