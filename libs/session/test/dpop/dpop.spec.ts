import { MemorySessionStore, type SessionModuleOptions } from '../../src/index.js';
import { jsonObjectIn } from '../../src/model/compact-jwt.js';
import { AccountController } from '../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type AppOptions, type TestApp } from '../support/app.js';
import { codeOf, DpopClient, type ClientAlgorithm } from './support/dpop-client.js';
import { DpopController } from './support/dpop.controller.js';

type DpopOption = NonNullable<SessionModuleOptions['jwt']>['dpop'];

function jwt(dpop?: DpopOption): SessionModuleOptions['jwt'] {
  return { issuer: 'https://issuer.example', audience: 'https://api.example', ...(dpop !== undefined && { dpop }) };
}

function claimsOf(token: string): Record<string, unknown> {
  return jsonObjectIn(token.split('.')[1] ?? '') ?? {};
}

const ALGS = 'DPoP algs="ES256 ES384 EdDSA Ed25519 PS256 RS256"';

describe.each(PLATFORMS)('DPoP on %s', (platform) => {
  afterEach(closeApps);

  const start = async (dpop: DpopOption, more: Partial<AppOptions> = {}): Promise<TestApp> =>
    startApp({
      platform,
      controllers: [DpopController],
      // By the same clock as the proofs.
      session: { store: new MemorySessionStore(), jwt: jwt(dpop) },
      ...more,
    });

  const signedIn = async (app: TestApp, algorithm?: ClientAlgorithm): Promise<DpopClient> => {
    const client = new DpopClient(app.url, algorithm);
    expect(codeOf(await client.login())).toBeUndefined();
    return client;
  };

  it('binds the tokens of a sign-in to the key of its proof, and takes them with a proof of each request', async () => {
    const app = await start('optional');
    const client = await signedIn(app);
    expect(client.tokens?.tokenType).toBe('DPoP');
    expect(claimsOf(client.tokens?.accessToken ?? '')['cnf']).toEqual({ jkt: expect.stringMatching(/^[\w-]{43}$/) });
    expect((await client.call('/me')).body).toMatchObject({ user: { id: 'ada' } });
    expect((await client.call('/me?a=b#c', { method: 'POST' })).status).toBe(200);
    expect((await client.call('/bound')).status).toBe(200);
    expect((await client.call('/items/a%2Db%2f%C3%BC')).status).toBe(200);
  });

  it.each<ClientAlgorithm>(['ES256', 'ES384', 'EdDSA', 'Ed25519', 'PS256', 'RS256'])('takes %s', async (algorithm) => {
    const client = await signedIn(await start('required'), algorithm);
    expect((await client.call('/me')).status).toBe(200);
  });

  it('refuses algorithms that the option leaves out', async () => {
    const app = await start({ mode: 'optional', algorithms: ['EdDSA'] });
    const refused = await new DpopClient(app.url, 'ES256').login();
    expect([refused.status, codeOf(refused)]).toEqual([401, 'invalid_dpop_proof']);
    expect(refused.headers.get('www-authenticate')).toMatch(/^DPoP algs="EdDSA", error="invalid_dpop_proof", /);
    await signedIn(app, 'EdDSA');
  });

  it('renews tokens for the key that they are bound to, and for no other', async () => {
    const app = await start('optional');
    const client = await signedIn(app);
    const first = client.tokens;
    expect((await client.refresh()).status).toBe(200);
    expect(client.tokens?.tokenType).toBe('DPoP');
    expect(client.tokens?.refreshToken).not.toBe(first?.refreshToken);
    expect(claimsOf(client.tokens?.accessToken ?? '')['cnf']).toEqual(claimsOf(first?.accessToken ?? '')['cnf']);
    const { refreshToken = '' } = client.tokens ?? {};
    const thief = new DpopClient(app.url);
    for (const call of [{}, { proof: null }]) {
      const refused = await thief.refresh(call, refreshToken);
      expect(refused.status).toBe(401);
      expect(codeOf(refused)).toMatch(/^invalid_(token|dpop_proof)$/);
    }
    // Nothing has changed: neither rotated, nor ended for reuse.
    expect((await client.call('/me')).status).toBe(200);
    expect((await client.refresh()).status).toBe(200);
    const [body, tag] = [refreshToken.split('.').slice(0, 4).join('.'), refreshToken.split('.').at(-1)];
    const stripped = await thief.refresh({ proof: null }, `${body}.${tag}`);
    expect([stripped.status, codeOf(stripped)]).toEqual([401, 'invalid_token']);
  });

  it('10.3.5: refuses a bound token that is sent as a bearer token, and a bearer token that is sent as a bound one', async () => {
    const app = await start('optional');
    const client = await signedIn(app);
    const downgraded = await client.call('/me', { scheme: 'Bearer' });
    expect([downgraded.status, codeOf(downgraded)]).toEqual([401, 'invalid_token']);
    expect(downgraded.headers.get('www-authenticate')).toMatch(
      /^Bearer realm="session", error="invalid_token", error_description="[^"]+", DPoP algs="[^"]+"$/,
    );
    expect((await client.call('/me', { scheme: 'Bearer', proof: null })).status).toBe(401);
    const plain = new DpopClient(app.url);
    await plain.login('bob', { proof: null });
    expect(plain.tokens?.tokenType).toBe('Bearer');
    expect(claimsOf(plain.tokens?.accessToken ?? '')).not.toHaveProperty('cnf');
    expect((await plain.call('/me', { scheme: 'Bearer', proof: null })).status).toBe(200);
    const raised = await plain.call('/me');
    expect([raised.status, codeOf(raised)]).toEqual([401, 'invalid_token']);
    expect(raised.headers.get('www-authenticate')).toMatch(
      new RegExp(`^${ALGS}, error="invalid_token", error_description="[^"]+", Bearer realm="session"$`),
    );
  });

  it('without credentials names both schemes and no error', async () => {
    const optional = await start('optional');
    const asked = await new DpopClient(optional.url).call('/me', { proof: null });
    expect(asked.headers.get('www-authenticate')).toBe(`Bearer realm="session", ${ALGS}`);
    const required = await start('required');
    const demanded = await new DpopClient(required.url).call('/me', { proof: null });
    expect(demanded.headers.get('www-authenticate')).toBe(ALGS);
  });

  it('@RequireDpop() lets in bound tokens alone', async () => {
    const app = await start('optional');
    const plain = new DpopClient(app.url);
    await plain.login('bob', { proof: null });
    const refused = await plain.call('/bound', { scheme: 'Bearer', proof: null });
    expect([refused.status, codeOf(refused)]).toEqual([401, 'dpop_required']);
    expect(refused.headers.get('www-authenticate')).toMatch(new RegExp(`^${ALGS}, error="invalid_token"`));
    const browser = app.browser();
    await browser.post('/login', { userId: 'ada' });
    expect((await browser.get('/me')).status).toBe(200);
    expect((await browser.get('/bound')).body).toMatchObject({ code: 'dpop_required' });
  });

  it('10.4.14: `required` issues and takes no other tokens; cookies are not concerned', async () => {
    const app = await start('required');
    const plain = new DpopClient(app.url);
    const refused = await plain.login('bob', { proof: null });
    expect([refused.status, codeOf(refused)]).toEqual([401, 'dpop_required']);
    expect(await app.store.getActiveSessions('bob')).toEqual([]);
    const browser = app.browser();
    expect((await browser.post('/login', { userId: 'ada' })).status).toBe(200);
    expect((await browser.get('/me')).status).toBe(200);
  });

  it('a session from before `required` gets bound tokens at its next refresh', async () => {
    const secrets = 'a secret of the whole fleet, long enough for everything 1';
    const before = await start('optional', {
      session: { secrets, store: new MemorySessionStore(), jwt: jwt('optional') },
    });
    const after = await start('required', { session: { secrets, store: before.store, jwt: jwt('required') } });
    const client = new DpopClient(before.url);
    await client.login('ada', { proof: null });
    const later = new DpopClient(after.url);
    later.tokens = client.tokens;
    expect(codeOf(await later.call('/me', { scheme: 'Bearer', proof: null }))).toBe('dpop_required');
    expect(codeOf(await later.refresh({ proof: null }))).toBe('dpop_required');
    expect((await later.refresh()).status).toBe(200);
    expect(later.tokens?.tokenType).toBe('DPoP');
    expect((await later.call('/me')).status).toBe(200);
  });

  it('`off` ignores proofs, and refuses tokens that were bound before it was switched off', async () => {
    const secrets = 'a secret of the whole fleet, long enough for everything 2';
    const on = await start('optional', { session: { secrets, store: new MemorySessionStore(), jwt: jwt('optional') } });
    const off = await start(undefined, {
      session: { secrets, store: on.store, jwt: jwt() },
      controllers: [AccountController],
    });
    const client = await signedIn(on);
    const later = new DpopClient(off.url);
    later.tokens = client.tokens;
    expect(codeOf(await later.call('/me'))).toBe('session_required');
    expect(codeOf(await later.call('/me', { scheme: 'Bearer' }))).toBe('invalid_token');
    await later.login('bob');
    expect(later.tokens?.tokenType).toBe('Bearer');
  });

  it('@RequireDpop() without the option stops the boot', async () => {
    await expect(start('off')).rejects.toThrow(
      /DpopController\.bound: @RequireDpop\(\) .* without the option jwt\.dpop/,
    );
  });

  it('a store that remembers no proofs stops the boot', async () => {
    const store = new MemorySessionStore();
    Object.assign(store, { spentProofs: () => null });
    const session = { store, jwt: jwt('optional') };
    await expect(start('optional', { session })).rejects.toThrow(/jwt\.dpop: your store remembers no proofs/);
  });

  it('a proof counts once', async () => {
    const app = await start('optional');
    const client = await signedIn(app);
    const proof = client.proof('GET', `${app.url}/me`, client.tokens?.accessToken ?? null);
    expect((await client.call('/me', { proof })).status).toBe(200);
    const replayed = await client.call('/me', { proof });
    expect([replayed.status, codeOf(replayed)]).toEqual([401, 'invalid_dpop_proof']);
    const parallel = client.proof('GET', `${app.url}/me`, client.tokens?.accessToken ?? null);
    const answers = await Promise.all(Array.from({ length: 10 }, () => client.call('/me', { proof: parallel })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('asks a client whose clock is wrong for a nonce, and goes by its own time from then on', async () => {
    const app = await start('optional');
    for (const skew of [-86_400, 86_400]) {
      const client = new DpopClient(app.url);
      client.skew = skew;
      expect((await client.login()).status).toBe(200);
      expect(client.asked).toBe(1);
      expect((await client.call('/me')).status).toBe(200);
      expect((await client.refresh()).status).toBe(200);
      expect(client.asked).toBe(1);
      const proof = client.proof('GET', `${app.url}/me`, client.tokens?.accessToken ?? null);
      expect((await client.call('/me', { proof })).status).toBe(200);
      expect(codeOf(await client.call('/me', { proof }))).toBe('invalid_dpop_proof');
    }
  });

  it('`nonce` wants one in every proof', async () => {
    const app = await start({ mode: 'required', nonce: true });
    const client = new DpopClient(app.url);
    const first = await client.send('/login', { method: 'POST', body: { userId: 'ada', transport: 'bearer' } });
    expect([first.status, codeOf(first)]).toEqual([401, 'use_dpop_nonce']);
    expect(first.headers.get('cache-control')).toBe('no-store');
    expect(first.headers.get('dpop-nonce')).toMatch(/^[\x21\x23-\x5b\x5d-\x7e]+$/);
    expect(first.headers.get('www-authenticate')).toMatch(/^DPoP algs="[^"]+", error="use_dpop_nonce"/);
    expect((await client.login()).status).toBe(200);
    expect((await client.call('/me')).status).toBe(200);
    client.nonce = null;
    expect(codeOf(await client.send('/me'))).toBe('use_dpop_nonce');
  });

  it('step-up and impersonation keep the key of the request', async () => {
    const app = await start('optional');
    const client = await signedIn(app);
    const { cnf } = claimsOf(client.tokens?.accessToken ?? '');
    const impersonated = await client.call('/impersonate', { method: 'POST' });
    const { tokens } = impersonated.body as { tokens: { accessToken: string; tokenType: string } };
    expect(tokens.tokenType).toBe('DPoP');
    expect(claimsOf(tokens.accessToken)['cnf']).toEqual(cnf);
    const proved = await client.call('/step-up', { method: 'POST' });
    expect(proved.body).toMatchObject({ tokens: { tokenType: 'DPoP' } });
    client.tokens = (proved.body as { tokens: DpopClient['tokens'] }).tokens;
    expect((await client.call('/me')).status).toBe(200);
    expect(codeOf(await new DpopClient(app.url).refresh({ proof: null }, client.tokens?.refreshToken))).toBe(
      'invalid_dpop_proof',
    );
  });

  it('a cookie beside the tokens: new ones of a step-up are bound to the key of its proof', async () => {
    const app = await start('required');
    const client = new DpopClient(app.url);
    const login = await client.login('ada', { body: { userId: 'ada', transport: 'both' } });
    const cookie = /__Host-session=[^;]+/.exec(login.headers.get('set-cookie') ?? '')?.[0] ?? '';
    const headers = { cookie };
    const refused = await client.call('/step-up', { method: 'POST', token: null, proof: null, headers });
    expect([refused.status, codeOf(refused)]).toEqual([401, 'dpop_required']);
    const proved = await client.call('/step-up', { method: 'POST', token: null, headers });
    expect(proved.body).toMatchObject({ tokens: { tokenType: 'DPoP' } });
  });

  it('signing out needs no proof: it takes nothing from the user', async () => {
    const app = await start('required');
    const client = await signedIn(app);
    expect((await client.call('/logout', { method: 'POST', proof: null })).body).toEqual({ ended: true });
    expect((await client.call('/me')).status).toBe(401);
  });

  it('goes by the public URL behind a proxy that the application trusts, and by its own otherwise', async () => {
    const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'api.example' };
    const base = 'https://api.example';
    const trusting = await start('optional', { trustProxy: true });
    const client = new DpopClient(trusting.url);
    expect((await client.login('ada', { headers, base })).status).toBe(200);
    expect((await client.call('/me', { headers, base: 'HTTPS://API.example:443' })).status).toBe(200);
    for (const other of ['http://api.example', 'https://api.example:8443', trusting.url, 'https://evil.example'])
      expect(codeOf(await client.call('/me', { headers, base: other }))).toBe('invalid_dpop_proof');
    const plain = await start('optional');
    expect(codeOf(await new DpopClient(plain.url).login('ada', { headers, base }))).toBe('invalid_dpop_proof');
  });

  it('goes by publicUrl, also where a proxy takes a part off the path', async () => {
    const app = await start({ mode: 'optional', publicUrl: 'https://api.example/v1/' });
    const client = new DpopClient(app.url);
    expect((await client.login('ada', { base: 'https://api.example/v1' })).status).toBe(200);
    expect((await client.call('/me', { base: 'https://api.example/v1' })).status).toBe(200);
    for (const base of ['https://api.example', app.url, 'https://api.example/v2'])
      expect(codeOf(await client.call('/me', { base }))).toBe('invalid_dpop_proof');
  });

  it('knows the global prefix', async () => {
    const app = await start('optional', { configure: (nest) => nest.setGlobalPrefix('api/v2') });
    const client = new DpopClient(app.url);
    await client.login('ada', {}, '/api/v2/login');
    expect((await client.call('/api/v2/me')).status).toBe(200);
    const proof = client.proof('GET', `${app.url}/me`, client.tokens?.accessToken ?? null);
    expect(codeOf(await client.call('/api/v2/me', { proof }))).toBe('invalid_dpop_proof');
  });
});
