import { SessionStore } from 'nestjs-sessions';
import { ADMIN, USER } from './support/browser.js';
import { logs, Sample, STACKS } from './support/sample.js';

const WRONG = { ...USER, password: 'not the password' };

describe.each(STACKS)('signing in, $adapter on $store', ({ adapter, store }) => {
  let sample: Sample;

  beforeEach(async () => {
    sample = await Sample.start({ adapter, store });
  });
  afterEach(() => sample.close());

  const live = (): Promise<number> => sample.get(SessionStore).count();

  it('answers a wrong password and an unknown address alike, and leaves no half session', async () => {
    const browser = sample.browser();
    const wrong = await browser.signIn(WRONG);
    const unknown = await browser.signIn({ email: 'nobody@example.com', password: WRONG.password });
    expect(wrong.status).toBe(401);
    expect(unknown.status).toBe(401);
    expect(unknown.body).toEqual(wrong.body);
    expect(wrong.setCookies).toEqual([]);
    expect(await live()).toBe(0);
  });

  it('16.3.1: logs a wrong password with the account, an unknown address without one, and the limit', async () => {
    const browser = sample.browser();
    const from = logs.length;
    await browser.signIn(WRONG);
    await browser.signIn({ email: 'my secret typed here@example.com'.replaceAll(' ', '.'), password: WRONG.password });
    for (let i = 0; i < 10; i++) await browser.signIn(WRONG);
    const lines = logs.slice(from);
    const events = lines.flatMap((line) =>
      (/\{.*"event".*\}/.exec(line) ?? []).map((json) => JSON.parse(json) as unknown),
    );
    expect(events.slice(0, 2)).toMatchObject([
      { event: 'authn_login_fail', failed: 'pwd', userId: expect.stringMatching(/./) },
      { event: 'authn_login_fail', failed: 'pwd', userId: '' },
    ]);
    expect(events.at(-1)).toMatchObject({ event: 'authn_login_fail_max', reason: 'too-many-attempts' });
    expect(lines.join('\n')).not.toMatch(/my\.secret|not the password/);
  });

  it('takes the e-mail address in any case', async () => {
    expect((await sample.browser().signIn({ ...USER, email: 'User@Example.com' })).status).toBe(200);
  });

  it('refuses the 11th failure with 429 and says when to come back; another account goes on', async () => {
    const browser = sample.browser();
    for (let i = 0; i < 10; i++) expect((await browser.signIn(WRONG)).status).toBe(401);
    const refused = await browser.signIn(WRONG);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(60);
    expect(refused.body.code).toBe('too_many_failures');
    // The right password is no way to find out that it was the right one.
    expect((await browser.signIn(USER)).status).toBe(429);
    expect((await browser.signIn({ ...USER, email: 'USER@example.com' })).status).toBe(429);
    expect((await browser.signIn(ADMIN)).status).toBe(200);
    expect(await live()).toBe(1);
  });

  it('gives guesses in parallel no more answers than guesses in a row', async () => {
    const guesses = Array.from({ length: 30 }, () => sample.browser().signIn(WRONG));
    const statuses = (await Promise.all(guesses)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(10);
    expect(statuses.filter((status) => status === 429)).toHaveLength(20);
  });

  it('counts failed step-ups as well', async () => {
    const browser = sample.browser();
    await browser.signedIn();
    for (let i = 0; i < 10; i++) {
      expect((await browser.post('/auth/step-up', { password: WRONG.password })).status).toBe(401);
    }
    expect((await browser.post('/auth/step-up', { password: USER.password })).status).toBe(429);
    // A wrong password is no reason to lose the session one has.
    expect((await browser.get('/me')).status).toBe(200);
  });

  it('never counts good sign-ins', async () => {
    const browser = sample.browser();
    for (let i = 0; i < 25; i++) expect((await browser.signIn()).status).toBe(200);
  });

  it('ends the session of a cookie that is signed in over', async () => {
    const browser = sample.browser();
    await browser.signedIn();
    const before = browser.copy();
    const again = await browser.signedIn();
    expect((await before.get('/me')).body.code).toBe('session_replaced');
    expect((await browser.sessions()).map(({ id }) => id)).toEqual([again.id]);
  });

  it('ends the session of another user whose cookie is signed in over', async () => {
    const browser = sample.browser();
    await browser.signedIn(USER);
    const before = browser.copy();
    await browser.signedIn(ADMIN);
    expect((await before.get('/me')).status).toBe(401);
    expect((await browser.get('/me')).body.email).toBe(ADMIN.email);
    expect(await live()).toBe(1);
  });

  it('replaces the session of the same device', async () => {
    const [first, second] = [sample.browser(), sample.browser()];
    await first.signedIn(USER, { deviceId: 'tablet-1' });
    await second.signedIn(USER, { deviceId: 'tablet-1' });
    expect((await first.get('/me')).body.code).toBe('session_replaced');
    expect((await second.get('/sessions')).body).toHaveLength(1);
  });

  it('keeps a remembered session for longer, and its cookie beyond the browser', async () => {
    const plain = await sample.browser().signIn();
    const remembered = await sample.browser().signIn(USER, { rememberMe: true });
    expect(plain.setCookies[0]).not.toMatch(/max-age|expires/i);
    expect(remembered.setCookies[0]).toMatch(/Max-Age=2592000/);
    const lifetime = ({ body }: typeof plain): number => body.session.expiresAt - body.session.createdAt;
    expect(lifetime(plain)).toBe(24 * 3_600_000);
    expect(lifetime(remembered)).toBe(30 * 24 * 3_600_000);
  });
});
