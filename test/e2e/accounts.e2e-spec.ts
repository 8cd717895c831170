import { SessionStore } from 'nestjs-sessions';
import { ADMIN, USER, type Browser } from './support/browser.js';
import { Sample, STACKS } from './support/sample.js';

const FACTOR = { email: 'factor@example.com', password: 'factor-password-1' };
const ADD = { addAccount: true };

interface Account {
  id: string;
  email: string;
  current: boolean;
}

describe.each(STACKS)('several accounts in one browser, $adapter on $store', ({ adapter, store }) => {
  let sample: Sample;

  beforeEach(async () => {
    sample = await Sample.start({ adapter, store });
  });
  afterEach(() => sample.close());

  const accountsOf = async (browser: Browser): Promise<Account[]> => (await browser.get('/accounts')).body;
  const me = async (browser: Browser): Promise<unknown> => (await browser.get('/me')).body.email;

  it('adds an account, lists both, switches, and signs out of one and of all', async () => {
    const browser = sample.browser();
    const user = await browser.signedIn(USER);
    const admin = await browser.signedIn(ADMIN, ADD);
    expect([await me(browser), (await browser.get('/admin/users?query=user')).status]).toEqual([ADMIN.email, 200]);
    const accounts = await accountsOf(browser);
    expect(accounts.map(({ id, email, current }) => [id, email, current])).toEqual([
      [user.id, USER.email, false],
      [admin.id, ADMIN.email, true],
    ]);
    const switched = await browser.post('/accounts/switch', { id: user.id });
    expect([switched.status, switched.body.session.id]).toEqual([200, user.id]);
    // Roles, lists and devices are those of the account in use.
    expect([await me(browser), (await browser.get('/admin/users?query=user')).status]).toEqual([USER.email, 403]);
    expect((await browser.sessions()).map(({ id }) => id)).toEqual([user.id]);
    expect((await browser.delete(`/sessions/${admin.id}`)).status).toBe(404);

    expect((await browser.delete(`/accounts/${admin.id}`)).status).toBe(204);
    expect((await accountsOf(browser)).map(({ email }) => email)).toEqual([USER.email]);
    await browser.signedIn(ADMIN, ADD);
    expect(await sample.get(SessionStore).count()).toBe(2);
    expect((await browser.post('/auth/logout')).status).toBe(204);
    expect([await accountsOf(browser), await sample.get(SessionStore).count()]).toEqual([[], 0]);
  });

  it('a wrong password adds nothing, and a sign-in without the wish replaces all', async () => {
    const browser = sample.browser();
    await browser.signedIn(USER);
    expect((await browser.signIn({ ...ADMIN, password: 'wrong' }, ADD)).status).toBe(401);
    expect([await me(browser), (await accountsOf(browser)).length]).toEqual([USER.email, 1]);
    await browser.signedIn(ADMIN, ADD);
    await browser.signedIn(USER);
    expect((await accountsOf(browser)).map(({ email }) => email)).toEqual([USER.email]);
    expect(await sample.get(SessionStore).count()).toBe(1);
  });

  it('an account that waits for its code can be left: the other one is still there', async () => {
    const browser = sample.browser();
    const user = await browser.signedIn(USER);
    const { id } = await browser.signedIn(FACTOR, ADD);
    expect((await browser.get('/me')).body.code).toBe('pending_authentication');
    expect((await accountsOf(browser)).map(({ email, current }) => [email, current])).toEqual([[USER.email, false]]);
    expect((await browser.delete(`/accounts/${id}`)).status).toBe(204);
    expect((await browser.post('/accounts/switch', { id: user.id })).status).toBe(200);
    expect(await me(browser)).toBe(USER.email);
  });

  it('another browser, another site and a wrong id get nothing', async () => {
    const [browser, other] = [sample.browser(), sample.browser()];
    const user = await browser.signedIn(USER);
    await browser.signedIn(ADMIN, ADD);
    expect((await other.post('/accounts/switch', { id: user.id })).body.code).toBe('account_not_found');
    expect((await other.delete(`/accounts/${user.id}`)).body.code).toBe('account_not_found');
    const evil = { headers: { 'sec-fetch-site': 'cross-site' } };
    expect((await browser.post('/accounts/switch', { id: user.id }, evil)).body.code).toBe('csrf_rejected');
    expect((await browser.delete(`/accounts/${user.id}`, evil)).body.code).toBe('csrf_rejected');
    for (const id of [undefined, null, 7, 'x', [user.id]])
      expect((await browser.post('/accounts/switch', { id })).status).toBe(400);
    expect((await accountsOf(browser)).length).toBe(2);
  });
});
