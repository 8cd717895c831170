import { Controller, Get, UseGuards } from '@nestjs/common';
import { Roles, SessionStore, TokenBlacklist, TokenService } from '../../src/index.js';
import { NearCachedSessionStore } from '../../src/near-cache/near-cached-session-store.js';
import { NearCachedTokenBlacklist } from '../../src/near-cache/near-cached-token-blacklist.js';
import { JwtAuthGuard } from '../../src/passport/index.js';
import { AccountController } from '../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../support/app.js';
import { CHROME, FIREFOX } from '../support/clients.js';
import { CountingStore } from '../support/counting-store.js';
import { signedIn as signIn, type SignedIn } from '../support/signed-in.js';

/** Whose events nobody hears: what is done to it behind the application's back, its near cache cannot know. */
class MuteStore extends CountingStore {
  override subscribe(): () => void {
    return () => undefined;
  }
}

@UseGuards(JwtAuthGuard)
@Controller('api')
class ApiController {
  @Get('me')
  me(): unknown {
    return { ok: true };
  }

  @Roles('admin')
  @Get('admin')
  admin(): unknown {
    return { ok: true };
  }
}

describe.each(PLATFORMS)('requests with a near cache, on %s', (platform) => {
  let app: TestApp;
  let store: MuteStore;
  afterEach(closeApps);

  async function start(session: Record<string, unknown> = {}): Promise<void> {
    store = new MuteStore();
    app = await startApp({
      platform,
      controllers: [AccountController, ApiController],
      session: {
        store,
        nearCache: { maxStale: '10m' },
        jwt: { issuer: 'https://issuer.example', audience: 'api' },
        telemetry: false,
        ...session,
      },
    });
  }

  /** Signed in, and let in once: the session is known from then on. */
  const signedIn = (input?: Record<string, unknown>): Promise<SignedIn> => signIn(app, input);

  it('asks the store once, and then no more', async () => {
    await start();
    const { cookie, bearer } = await signedIn();
    for (const [request, path] of [
      [cookie, '/me'],
      [bearer, '/me'],
      [bearer, '/api/me'],
    ] as const) {
      await request(path);
      store.forget();
      for (let n = 0; n < 3; n += 1) expect((await request(path)).status).toBe(200);
      expect(store.commands).toEqual([]);
    }
  });

  it('what it remembers refuses nobody: for a missing role, a missing factor, a proof too old, the store is asked', async () => {
    await start();
    const { session, cookie, bearer, browser } = await signedIn();
    for (const request of [cookie, bearer]) expect((await request('/me')).status).toBe(200);
    for (const [request, path] of [
      [cookie, '/admin'],
      [bearer, '/admin'],
      [bearer, '/api/admin'],
    ] as const) {
      store.forget();
      expect((await request(path)).status).toBe(403);
      expect(store.reads).toBe(1);
    }
    await store.updateUser('ada', { roles: ['admin'] });
    expect((await cookie('/admin')).status).toBe(200);
    expect((await bearer('/api/admin')).status).toBe(200);
    await store.update(session.id, { pending: true });
    await app.app.get(SessionStore).read(session.id);
    expect((await cookie('/me')).body.code).toBe('pending_authentication');
    await store.update(session.id, { pending: false });
    expect((await cookie('/me')).status).toBe(200);
    store.advance(6 * 60_000);
    await cookie('/me');
    const fresh = () => browser.post('/fresh', undefined, { 'user-agent': CHROME });
    expect((await fresh()).body.code).toBe('reauthentication_required');
    await store.regenerate(session.id, { credentials: {}, freshen: true, repeatableFor: 0 });
    expect((await fresh()).status).toBe(200);
  });

  it.each(['cookie', 'bearer'] as const)(
    'another client is refused by what the store says of the session, not the cache (%s)',
    async (transport) => {
      await start({ security: { useFingerprint: 'reject' } });
      const signed = await signedIn();
      const request = signed[transport];
      expect((await request('/me')).status).toBe(200);
      const metadata = { ...signed.session.metadata };
      delete metadata.fingerprint;
      await store.update(signed.session.id, { metadata });
      store.forget();
      expect((await request('/me', FIREFOX)).status).toBe(200);
      expect(store.reads).toBe(1);
    },
  );

  it('a hit is counted once where `resolveUser` makes the user', async () => {
    await start({ resolveUser: ({ userId }: { userId: string }) => ({ name: userId }) });
    const { cookie } = await signedIn();
    await cookie('/me');
    const near = app.app.get<NearCachedSessionStore>(SessionStore);
    const before = near.counts.hit;
    store.forget();
    expect((await cookie('/me')).body).toEqual({ user: { name: 'ada' } });
    expect([store.commands, near.counts.hit - before]).toEqual([[], 1]);
  });

  it('an end by this instance counts at once', async () => {
    await start();
    const { browser, cookie, bearer } = await signedIn();
    for (const request of [cookie, bearer]) expect((await request('/me')).status).toBe(200);
    expect((await browser.post('/logout-all', undefined, { 'user-agent': CHROME })).status).toBe(200);
    expect((await bearer('/me')).status).toBe(401);
    expect((await cookie('/me')).status).toBe(401);
  });

  it('a token that expired or was revoked is refused although its session is known', async () => {
    await start();
    const { session, bearer } = await signedIn();
    const tokens = app.app.get(TokenService);
    expect((await bearer('/me')).status).toBe(200);
    await tokens.revokeAllFor(session.userId);
    expect((await bearer('/me')).status).toBe(401);
    const { accessToken } = tokens.issueFor((await store.read(session.id)) as never);
    const later = () => app.browser().get('/me', { 'user-agent': CHROME, authorization: `Bearer ${accessToken}` });
    expect((await later()).status).toBe(200);
    await tokens.revoke(accessToken);
    expect((await later()).status).toBe(401);
    store.advance(16 * 60_000);
    expect((await later()).status).toBe(401);
  });

  it('accesses are recorded as without it', async () => {
    await start();
    const { cookie } = await signedIn();
    await cookie('/me');
    store.advance(61_000);
    store.forget();
    await cookie('/me');
    await cookie('/me');
    expect(store.commands.filter((command) => command === 'touch')).toHaveLength(1);
  });
});

describe('the option nearCache', () => {
  afterEach(closeApps);

  it('puts a near cache before store and blacklist, which applications inject, and stops both at the end', async () => {
    const app = await startApp({ platform: 'express', session: { nearCache: true, telemetry: false } });
    const [store, blacklist] = [app.app.get(SessionStore), app.app.get(TokenBlacklist)];
    expect(store).toBeInstanceOf(NearCachedSessionStore);
    expect(blacklist).toBeInstanceOf(NearCachedTokenBlacklist);
    expect((store as NearCachedSessionStore).isOpen).toBe(true);
    await app.close();
    expect((store as NearCachedSessionStore).isOpen).toBe(false);
  });
});
