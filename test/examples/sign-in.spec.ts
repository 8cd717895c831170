// The recipes in which others prove who the user is. In each, state and challenges are in the session of the browser, and a session from
// before the sign-in is worth nothing after it.
import type { INestApplication } from '@nestjs/common';
import { SITE, PasskeyModule, passkeys } from '../../examples/recipes/passkeys.js';
import { SocialModule } from '../../examples/recipes/google-github.js';
import { OidcModule } from '../../examples/recipes/openid-connect.js';
import { Browser, type Reply } from '../../libs/session/test/support/browser.js';
import { Authenticator } from './support/authenticator.js';
import { IdentityProvider } from './support/identity-provider.js';
import { closeAfterwards, closeRecipes, startRecipe } from './support/start-recipe.js';

afterEach(closeRecipes);

const BASE = 'https://shop.example.com';

async function provider(): Promise<IdentityProvider> {
  const started = await new IdentityProvider().listen();
  closeAfterwards(() => started.close());
  return started;
}

/** The cookies of a browser as they are now, in another one: what a thief or somebody who planted them would have. */
async function copyOf(browser: Browser, app: INestApplication): Promise<Browser> {
  const copy = new Browser(await app.getUrl());
  for (const [name, value] of browser.jar) copy.jar.set(name, value);
  return copy;
}

/** Three ways to send a browser elsewhere and to get it back with a code. */
describe.each(['oidc', 'google', 'github'] as const)('%s', (name) => {
  const begin = name === 'oidc' ? '/oidc/login' : `/auth/${name}`;
  let idp: IdentityProvider;
  let app: INestApplication;
  let sessions: Awaited<ReturnType<typeof startRecipe>>['sessions'];
  let browser: Browser;

  beforeEach(async () => {
    idp = await provider();
    const { issuer, clientId, clientSecret } = idp;
    const client = {
      clientID: clientId,
      clientSecret,
      authorizationURL: `${issuer}/authorize`,
      tokenURL: `${issuer}/token`,
      userProfileURL: `${issuer}/profile`,
    };
    const module =
      name === 'oidc'
        ? OidcModule.register({ issuer, clientId, clientSecret, baseUrl: BASE, allowHttp: true })
        : SocialModule.register({ baseUrl: BASE, google: client, github: client });
    ({ app, sessions } = await startRecipe(module));
    browser = new Browser(await app.getUrl());
  });

  /** Goes to the provider and agrees; gives the path by which the provider sends the browser back. */
  const agreed = async (who = browser): Promise<string> => {
    const reply = await who.get(begin);
    expect(reply.status).toBe(302);
    const back = idp.agree(reply.headers.get('location') ?? '');
    expect(back.href.startsWith(`${BASE}/`)).toBe(true);
    return back.pathname + back.search;
  };
  const signedIn = (userId: string) => sessions.store.getActiveSessions(userId);
  const expectRefused = async (reply: Promise<Reply>): Promise<void> => {
    expect([401, 403]).toContain((await reply).status);
    expect(await signedIn(`${name}:subject-1`)).toEqual([]);
  };

  it('signs in with a new session, and the cookie from before is refused', async () => {
    const path = await agreed();
    const planted = await copyOf(browser, app);
    const [[cookie, before = ''] = []] = browser.jar;
    const reply = await browser.get(path);
    expect([reply.status, reply.headers.get('location')]).toEqual([302, '/']);
    const [session, ...others] = await signedIn(`${name}:subject-1`);
    expect([session?.userId, others]).toEqual([`${name}:subject-1`, []]);
    expect(browser.jar.get(cookie ?? '')).not.toBe(before);
    // The visitor's session ended with the sign-in: there is one session, and it is the user's.
    expect(await sessions.store.count()).toBe(1);
    expect((await planted.get(path)).status).toBe(401);
    expect(await sessions.store.count()).toBe(1);
  });

  it('takes an answer once, soon, and in the browser that asked for it', async () => {
    await expectRefused(new Browser(await app.getUrl()).get(await agreed()));
    const first = await agreed();
    // A second flow in the same browser replaces the first.
    const second = await agreed();
    await expectRefused(browser.get(first));
    await expectRefused(browser.get(second));
    // An attacker's answer in the browser of a victim who has begun a flow as well.
    const attacker = new Browser(await app.getUrl());
    const foreign = await agreed(attacker);
    await agreed();
    await expectRefused(browser.get(foreign));
    for (const change of [
      (path: string) => path.replace(/state=[^&]*/, 'state='),
      (path: string) => path.replace(/&state=.*/, ''),
    ])
      await expectRefused(browser.get(change(await agreed())));
    const guessed = await agreed();
    await expectRefused(browser.get(guessed.replace(/code=[^&]*/, 'code=guessed')));
    // The state was used up by the guess.
    await expectRefused(browser.get(guessed));
    await expectRefused(browser.get((await agreed()).replace(/code=[^&]*/, 'error=access_denied')));
    const late = await agreed();
    await sessions.advance('31m');
    await expectRefused(browser.get(late));
  });

  it('two requests with one answer at once sign in at most once', async () => {
    const path = await agreed();
    const planted = await copyOf(browser, app);
    const statuses = await Promise.all(
      [browser.get(path), planted.get(path)].map(async (reply) => (await reply).status),
    );
    expect(statuses.filter((status) => status === 302).length).toBe(1);
    expect((await signedIn(`${name}:subject-1`)).length).toBe(1);
  });

  if (name === 'oidc') {
    it.each<[string, (claims: Record<string, unknown>) => Record<string, unknown>]>([
      ['for another client', (claims) => ({ ...claims, aud: 'client-2' })],
      ['of another issuer', (claims) => ({ ...claims, iss: 'https://evil.example' })],
      ['with another nonce', (claims) => ({ ...claims, nonce: 'replayed' })],
      ['that has expired', (claims) => ({ ...claims, exp: Math.floor(Date.now() / 1000) - 3_600 })],
    ])('refuses an ID token %s', async (_, forge) => {
      idp.forge = forge;
      await expectRefused(browser.get(await agreed()));
    });

    it('takes over an address only if the provider has verified it', async () => {
      idp.forge = (claims) => ({ ...claims, email: 'boss@example.com', email_verified: false });
      expect((await browser.get(await agreed())).status).toBe(302);
      expect((await signedIn('oidc:subject-1'))[0]?.email).toBe('');
    });
  }
});

describe('passkeys', () => {
  let app: INestApplication;
  let sessions: Awaited<ReturnType<typeof startRecipe>>['sessions'];
  let browser: Browser;
  let passkey: Authenticator;

  beforeEach(async () => {
    passkeys.clear();
    ({ app, sessions } = await startRecipe(PasskeyModule));
    browser = new Browser(await app.getUrl());
    passkey = new Authenticator(SITE.domain, SITE.origin);
    // Ann has a password, and adds a passkey.
    expect((await browser.post('/login', { name: 'ann', password: 'ann-password' })).status).toBe(204);
    const options = await browser.post('/passkeys/options');
    expect((await browser.post('/passkeys', passkey.create(options.body))).status).toBe(201);
    browser = new Browser(await app.getUrl());
  });

  const me = async (who = browser): Promise<unknown> => (await who.get('/me')).body.id;

  it('as the only factor: a new session with two factors, and the cookie from before is refused', async () => {
    const { body } = await browser.post('/sign-in/options');
    expect(body.allowCredentials).toBeUndefined();
    const planted = await copyOf(browser, app);
    const answer = passkey.get(body);
    expect((await browser.post('/sign-in', answer)).status).toBe(204);
    expect(await me()).toBe('ann');
    const [session] = await sessions.store.getActiveSessions('ann');
    expect(session).toMatchObject({ amr: ['hwk', 'user', 'mfa'], acr: 'aal2' });
    expect((await planted.get('/me')).body).toMatchObject({ code: 'session_replaced' });
    expect((await planted.post('/sign-in', answer)).status).toBe(401);
  });

  it('as the second factor: nothing is open before it, and the password’s cookie is refused after it', async () => {
    expect((await browser.post('/login', { name: 'ann', password: 'ann-password' })).status).toBe(204);
    expect((await browser.get('/me')).body).toMatchObject({ code: 'pending_authentication' });
    const { body } = await browser.post('/second-factor/options');
    expect(body.allowCredentials).toMatchObject([{ id: passkey.id.toString('base64url') }]);
    const planted = await copyOf(browser, app);
    expect((await browser.post('/second-factor', passkey.get(body))).status).toBe(204);
    expect(await me()).toBe('ann');
    expect((await planted.get('/me')).status).toBe(401);
    const [session] = (await sessions.store.getActiveSessions('ann')).filter(({ acr }) => acr !== undefined);
    expect(session).toMatchObject({ amr: ['pwd', 'hwk', 'mfa'], acr: 'aal2' });
  });

  it('a challenge counts once, in the browser and for the step that it was made for', async () => {
    const refused = async (answer: object, path = '/sign-in', who = browser): Promise<void> => {
      expect((await who.post(path, answer)).status).toBe(401);
    };
    const challenge = async (who = browser): Promise<{ challenge: string }> =>
      (await who.post('/sign-in/options')).body;
    await refused(passkey.get({ challenge: 'Z3Vlc3NlZA' }));
    const other = new Browser(await app.getUrl());
    await challenge();
    await refused(passkey.get(await challenge(other)));
    await refused(passkey.get(await challenge(), { origin: 'https://examp1e.com' }));
    const forged = new Authenticator(SITE.domain, SITE.origin);
    await refused(forged.get(await challenge()));
    const good = passkey.get(await challenge());
    await refused({ ...good, id: 'unknown', rawId: 'unknown' });
    await refused(good);
    expect((await browser.post('/sign-in', passkey.get(await challenge()))).status).toBe(204);
    // A copy of the passkey lags behind.
    passkey.counter = 0;
    const thief = new Browser(await app.getUrl());
    await refused(passkey.get(await challenge(thief)), '/sign-in', thief);
    // Signed in as bob, the passkey of ann is no second factor.
    const bob = new Browser(await app.getUrl());
    await bob.post('/login', { name: 'bob', password: 'bob-password' });
    passkey.counter = 100;
    await refused(passkey.get((await bob.post('/second-factor/options')).body), '/second-factor', bob);
  });
});
