import { Controller, Delete, Get, NotFoundException, Param, UseGuards } from '@nestjs/common';
import { CurrentSession, SessionAdminService, SessionGuard, SessionService, type Session } from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../../support/app.js';
import { CountingStore } from '../../support/counting-store.js';

const SECRET = 'a secret that is long enough for everybody';

@Controller('sessions')
@UseGuards(SessionGuard)
class SessionsController {
  constructor(private readonly sessions: SessionService) {}

  @Get()
  async list(@CurrentSession() { userId }: Session): Promise<unknown> {
    return { sessions: await this.sessions.list(userId) };
  }

  @Delete(':id')
  async end(@CurrentSession() { userId }: Session, @Param('id') id: string): Promise<void> {
    if (!(await this.sessions.end(id, { userId }))) throw new NotFoundException();
  }
}

afterEach(closeApps);

describe.each(PLATFORMS)('ending sessions on %s', (platform) => {
  let store: CountingStore;
  let app: TestApp;
  let other: TestApp;

  beforeEach(async () => {
    store = new CountingStore();
    const options = {
      platform,
      controllers: [AccountController, SessionsController],
      session: { store, secrets: SECRET },
    };
    [app, other] = [await startApp(options), await startApp(options)];
  });

  async function signIn(userId = 'ann') {
    const browser = app.browser();
    const reply = await browser.post('/login', { userId, roles: ['user'] });
    return { browser, session: reply.body.session as Session };
  }

  /** The same cookie at the other instance. */
  function elsewhere(browser: { jar: Map<string, string> }) {
    const copy = other.browser();
    for (const [name, value] of browser.jar) copy.jar.set(name, value);
    return copy;
  }

  it('ASVS 7.4.1: after logout the cookie is 401, on a second instance as well', async () => {
    const { browser } = await signIn();
    const [kept, there] = [elsewhere(browser), elsewhere(browser)];
    expect((await kept.get('/me')).status).toBe(200);
    const reply = await browser.post('/logout');
    expect(reply.body).toEqual({ ended: true });
    expect(browser.jar.size).toBe(0);
    expect((await there.get('/me')).body).toMatchObject({ statusCode: 401, code: 'session_ended' });
    expect((await browser.get('/me')).status).toBe(401);
  });

  it('logout again is a no-op for a cookie that we once gave out; without credentials it is 401', async () => {
    const { browser } = await signIn();
    const old = elsewhere(browser);
    await browser.post('/public-logout');
    const again = await old.post('/public-logout');
    expect([again.status, again.body, again.setCookies.length]).toEqual([200, { ended: false }, 1]);
    expect((await other.browser().post('/public-logout')).body).toMatchObject({
      statusCode: 401,
      code: 'session_required',
    });
  });

  it('what could not be ended is never called signed out', async () => {
    const { browser } = await signIn();
    store.down = true;
    const reply = await browser.post('/logout');
    expect([reply.status, reply.setCookies]).toEqual([503, []]);
    store.down = false;
    expect((await browser.get('/me')).status).toBe(200);
  });

  it('ASVS 7.4.3: ending the others leaves the current one alone', async () => {
    const [first, second, third, bob] = [await signIn(), await signIn(), await signIn(), await signIn('bob')];
    expect((await second.browser.post('/logout-others')).body).toEqual({ ended: 2 });
    expect((await first.browser.get('/me')).body.code).toBe('session_ended');
    expect((await elsewhere(third.browser).get('/me')).body.code).toBe('session_ended');
    expect((await second.browser.get('/me')).status).toBe(200);
    expect((await bob.browser.get('/me')).status).toBe(200);
  });

  it('ASVS 7.4.2: ending all of a user ends this one too', async () => {
    const [first, second, bob] = [await signIn(), await signIn(), await signIn('bob')];
    const reply = await second.browser.post('/logout-all');
    expect([reply.body, reply.setCookies[0]?.maxAge]).toEqual([{ ended: 2 }, 0]);
    expect((await first.browser.get('/me')).status).toBe(401);
    expect((await bob.browser.get('/me')).status).toBe(200);
  });

  it('ASVS 7.4.2: a sign-in that races the end of all sessions is ended and counted, or lives; never in between', async () => {
    await signIn();
    const [all, ...racers] = await Promise.all([
      signIn().then(async ({ browser }) => browser.post('/logout-all')),
      ...Array.from({ length: 3 }, () => signIn()),
    ]);
    const alive = await Promise.all(racers.map(async ({ browser }) => (await browser.get('/me')).status === 200));
    const live = alive.filter(Boolean).length;
    expect(all.body.ended + live).toBe(2 + racers.length);
    expect(await store.count()).toBe(live);
  });

  it('ASVS 7.4.5: administrators end one session, one user, everybody', async () => {
    const admin = app.app.get(SessionAdminService);
    const by = { actor: 'root', reason: 'test' };
    const [one, two, bob, eve] = [await signIn(), await signIn(), await signIn('bob'), await signIn('eve')];
    expect(await admin.countSessions()).toBe(4);
    expect(await admin.endSession(one.session.id, by)).toBe(true);
    expect(await admin.endSession(one.session.id, by)).toBe(false);
    expect((await one.browser.get('/me')).body.code).toBe('session_revoked');
    expect((await two.browser.get('/me')).status).toBe(200);
    expect(await admin.endUserSessions('bob', by)).toBe(1);
    expect((await bob.browser.get('/me')).body.code).toBe('session_revoked');
    expect(await admin.endEverybody(by)).toBe(2);
    expect((await eve.browser.get('/me')).body.code).toBe('session_revoked');
    store.advance(1);
    expect((await (await signIn()).browser.get('/me')).status).toBe(200);
    expect(await admin.listSessions('ann')).toHaveLength(1);
  });

  it('ASVS 7.5.2: a list shows no secret, nothing expired and nobody else; another user cannot end what is in it', async () => {
    const expired = await signIn();
    store.advance(29 * 60_000);
    const [ann, bob] = [await signIn(), await signIn('bob')];
    store.advance(60_000);
    const reply = await ann.browser.get('/sessions');
    expect((reply.body.sessions as Session[]).map(({ id }) => id)).toEqual([ann.session.id]);
    for (const { browser } of [expired, ann, bob]) {
      for (const token of browser.jar.values()) {
        const [, secret = '', , tag = ''] = token.split('.');
        expect(reply.text).not.toContain(secret);
        expect(reply.text).not.toContain(tag);
      }
    }
    const asked = async (id: string) =>
      (await bob.browser.request(`/sessions/${encodeURIComponent(id)}`, { method: 'DELETE' })).status;
    expect(await asked(ann.session.id)).toBe(404);
    expect(await asked(expired.session.id)).toBe(404);
    for (const id of ['x', '*', '{}', '../..', 'A'.repeat(32), '\n', 'a'.repeat(90)]) expect(await asked(id)).toBe(404);
    expect((await ann.browser.get('/me')).status).toBe(200);
    expect(await asked(bob.session.id)).toBe(200);
  });

  it('listing the sessions keeps none of them alive', async () => {
    const [idle, active] = [await signIn(), await signIn()];
    for (let minutes = 0; minutes < 30; minutes += 10) {
      store.advance(10 * 60_000);
      expect((await active.browser.get('/sessions')).status).toBe(200);
    }
    expect((await idle.browser.get('/me')).body.code).toBe('session_expired');
  });

  it('ASVS 8.3.2: a change of roles counts from the next request on', async () => {
    const { browser } = await signIn();
    expect((await browser.get('/admin')).status).toBe(403);
    const sessions = app.app.get(SessionService);
    expect(await sessions.updateUser('ann', { roles: ['admin'], email: 'new@example.com' })).toBe(1);
    expect((await browser.get('/admin')).status).toBe(200);
    expect((await browser.get('/me')).body.user).toEqual({ id: 'ann', email: 'new@example.com', roles: ['admin'] });
    await sessions.updateUser('ann', { roles: [] });
    expect((await elsewhere(browser).get('/admin')).status).toBe(403);
  });

  it('expressjs/session#632: a slow request does not undo a logout', async () => {
    const { browser, session } = await signIn();
    store.advance(2 * 60_000);
    const slow = elsewhere(browser);
    const update = store.update.bind(store);
    let arrived = (): void => undefined;
    const waiting = new Promise<void>((resolve) => (arrived = resolve));
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    store.update = async (id, change) => {
      arrived();
      await held;
      return update(id, change);
    };
    const note = slow.post('/note', { cart: 1 });
    await waiting;
    await browser.post('/logout');
    release();
    expect((await note).status).toBe(401);
    expect(await store.get(session.id)).toBeNull();
    expect((await slow.get('/me')).body.code).toBe('session_ended');
  });
});
