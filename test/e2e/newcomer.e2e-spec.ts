import { USER } from './support/browser.js';
import { Sample, STACKS } from './support/sample.js';

describe.each(STACKS)('a newcomer, $adapter on $store', ({ adapter, store }) => {
  let sample: Sample;

  beforeAll(async () => {
    sample = await Sample.start({ adapter, store });
  });
  afterAll(() => sample.close());

  it('signs in with two cookie jars, sees both sessions, ends one from the other and finds it dead', async () => {
    const laptop = sample.browser({ 'user-agent': 'Laptop' });
    const phone = sample.browser({ 'user-agent': 'Phone' });

    const first = await laptop.signIn(USER, { deviceId: 'laptop-1', deviceName: 'My laptop' });
    expect(first.status).toBe(200);
    expect(first.body.session).toMatchObject({ deviceId: 'laptop-1', deviceName: 'My laptop', current: true });
    const second = await phone.signIn(USER, { deviceId: 'phone-1' });
    expect(second.status).toBe(200);

    const seen = await laptop.sessions();
    expect(seen.map(({ id }) => id).sort()).toEqual([first.body.session.id, second.body.session.id].sort());
    const ofPhone = await phone.sessions();
    expect(ofPhone.find(({ current }) => current)?.id).toBe(second.body.session.id);

    const ended = await laptop.delete(`/sessions/${second.body.session.id}`);
    expect(ended.status).toBe(204);
    const dead = await phone.get('/me');
    expect(dead.status).toBe(401);
    expect(dead.body.code).toBe('session_revoked');

    const alive = await laptop.get('/me');
    expect(alive.status).toBe(200);
    expect(alive.body).toEqual({ id: 'u-1001', email: USER.email, roles: ['user'] });
    expect((await laptop.get('/sessions')).body).toHaveLength(1);
  });

  it('keeps preferences in the session, and only there', async () => {
    const browser = sample.browser();
    await browser.signedIn();
    expect((await browser.get('/me/preferences')).body).toEqual({});
    const changed = await browser.patch('/me/preferences', { theme: 'dark' });
    expect(changed.status).toBe(200);
    expect(changed.body).toEqual({ theme: 'dark' });
    expect((await browser.patch('/me/preferences', { language: 'de-AT' })).body).toEqual({
      theme: 'dark',
      language: 'de-AT',
    });
    expect((await browser.get('/me/preferences')).body).toEqual({ theme: 'dark', language: 'de-AT' });

    const other = sample.browser();
    await other.signedIn();
    expect((await other.get('/me/preferences')).body).toEqual({});
  });

  it('loses none of many preferences changed at once', async () => {
    const browser = sample.browser();
    await browser.signedIn();
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        browser.patch('/me/preferences', i % 2 === 0 ? { theme: 'light' } : { language: 'fr' }),
      ),
    );
    expect(replies.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect((await browser.get('/me/preferences')).body).toEqual({ theme: 'light', language: 'fr' });
  });

  it('signs out, and may do so again with a cookie that is over', async () => {
    const browser = sample.browser();
    await browser.signedIn();
    const copy = browser.copy();
    expect((await browser.post('/auth/logout')).status).toBe(204);
    expect(browser.cookies.has('session')).toBe(false);
    expect((await copy.post('/auth/logout')).status).toBe(204);
    expect(copy.cookies.has('session')).toBe(false);
    expect((await browser.post('/auth/logout')).status).toBe(401);
    expect((await browser.get('/me')).status).toBe(401);
  });

  it('finds the application healthy without signing in', async () => {
    const { status, body } = await sample.browser().get('/health');
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: 'ok', ...(store === 'redis' && { details: { redis: { status: 'up' } } }) });
  });
});
