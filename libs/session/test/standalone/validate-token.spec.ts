import express from 'express';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { LiveSession } from '../../src/ports/session-store.js';
import { MemoryTokenBlacklist, StoreUnavailableError, TokenService } from '../../src/index.js';
import { validateToken, type ForeignClaims, type MiddlewareRequest } from '../../src/standalone/index.js';
import { AccountController } from '../support/account.controller.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../support/app.js';
import { CHROME, FIREFOX } from '../support/clients.js';

const ISSUER = 'https://login.example';

/** Claims by token: the signature is for the application's own `verify`. */
const NOW = Math.floor(Date.now() / 1000);
const good = (jti: string, more: ForeignClaims = {}): ForeignClaims => ({
  iss: ISSUER,
  sub: 'ann',
  jti,
  iat: NOW - 10,
  exp: NOW + 600,
  ...more,
});

describe('validateToken for tokens of another issuer', () => {
  let blacklist: MemoryTokenBlacklist;
  let claims: Map<string, unknown>;
  let server: Server;
  let url: string;

  beforeEach(async () => {
    blacklist = new MemoryTokenBlacklist();
    claims = new Map();
    const verify = async (token: string): Promise<ForeignClaims> => {
      const found = claims.get(token);
      if (found === undefined) throw new Error('bad signature');
      if (found instanceof Error) throw found;
      return found as ForeignClaims;
    };
    const app = express();
    app.use(validateToken({ verify, blacklist, issuer: ISSUER }));
    app.get('/', (request, response) => {
      response.json((request as unknown as { user: unknown }).user);
    });
    server = app.listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const ask = async (
    authorization?: string,
  ): Promise<{
    status: number;
    body: Record<string, unknown>;
    challenge: string | null;
    retryAfter: string | null;
  }> => {
    const response = await fetch(url, { headers: authorization === undefined ? {} : { authorization } });
    return {
      status: response.status,
      body: (await response.json()) as Record<string, unknown>,
      challenge: response.headers.get('www-authenticate'),
      retryAfter: response.headers.get('retry-after'),
    };
  };

  it('lets a good token in, with its claims as request.user', async () => {
    claims.set('good', good('one', { scope: 'read' }));
    expect(await ask('Bearer good')).toMatchObject({ status: 200, body: { sub: 'ann', jti: 'one', scope: 'read' } });
    expect((await ask('bearer  good')).status).toBe(200);
  });

  it('answers as RFC 6750 says: no error code without credentials, invalid_token otherwise, 400 for a malformed header', async () => {
    expect(await ask()).toMatchObject({ status: 401, challenge: 'Bearer realm="session"' });
    expect(await ask('Basic YTpi')).toMatchObject({ status: 401, challenge: 'Bearer realm="session"' });
    expect(await ask('Bearer forged')).toMatchObject({
      status: 401,
      challenge: expect.stringMatching(/^Bearer realm="session", error="invalid_token", error_description="/),
      body: { code: 'invalid_token' },
    });
    for (const header of ['Bearer', 'Bearer a b', 'Bearer a,b']) {
      expect(await ask(header)).toMatchObject({
        status: 400,
        challenge: expect.stringContaining('error="invalid_request"'),
      });
    }
  });

  it.each([7, null, ['ann'], { id: 'ann' }])(
    'refuses a sub that is no string, which revokeAllFor never finds (%p)',
    async (sub) => {
      claims.set('odd', good('odd', { sub }));
      expect(await ask('Bearer odd')).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
    },
  );

  it('refuses a token that is on the blacklist of its issuer, and no other (ASVS 9.1.1)', async () => {
    claims.set('good', good('one'));
    await blacklist.add('one', Date.now() + 60_000, { issuer: 'https://elsewhere.example' });
    expect((await ask('Bearer good')).status).toBe(200);
    await blacklist.add('one', Date.now() + 60_000, { issuer: ISSUER });
    expect(await ask('Bearer good')).toMatchObject({
      status: 401,
      challenge: expect.stringContaining('error="invalid_token"'),
    });
  });

  it('refuses what was issued to a user before all of their tokens were revoked', async () => {
    claims.set('before', good('one'));
    await blacklist.revokeAllFor('ann', { issuer: ISSUER });
    claims.set('after', good('two', { iat: NOW + 5 }));
    claims.set('undated', good('three', { iat: undefined }));
    expect((await ask('Bearer before')).status).toBe(401);
    expect((await ask('Bearer after')).status).toBe(200);
    expect((await ask('Bearer undated')).status).toBe(401);
  });

  it.each([
    ['of another issuer', good('one', { iss: 'https://elsewhere.example' })],
    ['without an issuer', good('one', { iss: undefined })],
    ['without a jti', good('one', { jti: undefined })],
    ['with a jti that is an object', good('one', { jti: { a: 1 } })],
    ['without an end', good('one', { exp: undefined })],
    ['with an endless end', good('one', { exp: Infinity })],
    ['that is text', 'text'],
    ['that is a list', []],
    ['that is null', null],
  ])('refuses a token %s (jsonwebtoken accepts it)', async (_name, payload) => {
    claims.set('token', payload);
    expect(await ask('Bearer token')).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
  });

  it('is 503 when the blacklist or the keys cannot be asked, never 401 and never 200', async () => {
    claims.set('good', good('one'));
    claims.set('keyless', Object.assign(new Error('keys unreachable at 10.0.0.1'), { statusCode: 502 }));
    const reply = await ask('Bearer keyless');
    expect(reply).toMatchObject({ status: 503, retryAfter: '1', challenge: null });
    expect(JSON.stringify(reply.body)).not.toContain('10.0.0.1');
    blacklist.isBlacklisted = async () => {
      throw new StoreUnavailableError();
    };
    expect(await ask('Bearer good')).toMatchObject({ status: 503, retryAfter: '1' });
  });
});

describe.each(PLATFORMS)('validateToken for our own tokens on %s', (platform) => {
  afterEach(closeApps);

  it('takes the path of the guards: pending, another client, another network and a foreign sub are refused', async () => {
    const app: TestApp = await startApp({
      platform,
      session: {
        jwt: { issuer: 'https://issuer.example', audience: 'https://api.example' },
        security: { useFingerprint: 'reject' },
      },
      controllers: [AccountController],
      configure: (nest) => {
        const handle = validateToken(nest.get(TokenService));
        nest.use((request: MiddlewareRequest, response: ServerResponse, next: () => void) => {
          // The route is public: no guard stands behind, and what is refused is refused here.
          if (request.url === '/public') handle(request, response, next);
          else next();
        });
      },
    });
    const ask = async (token: string, userAgent = CHROME): Promise<unknown> => {
      const reply = await app.browser().get('/public', { authorization: `Bearer ${token}`, 'user-agent': userAgent });
      return reply.status === 200 ? 200 : [reply.status, reply.body.code];
    };
    const signIn = async (more: object): Promise<string> => {
      const { body } = await app
        .browser()
        .post('/login', { userId: 'ann', transport: 'bearer', ...more }, { 'user-agent': CHROME });
      return body.tokens.accessToken as string;
    };
    const token = await signIn({});
    expect(await ask(token)).toBe(200);
    expect(await ask(token, FIREFOX)).toEqual([401, 'invalid_token']);
    expect(await ask(await signIn({ pending: true }))).toEqual([403, 'pending_authentication']);
    // Signed by us, and for another user than the session's.
    const tokens = app.app.get(TokenService);
    const live = (await app.store.read(tokens.requireClaims(payloadOf(token)).sid)) as LiveSession;
    const stolen = tokens.issueFor({ ...live, session: { ...live.session, userId: 'bob' } }).accessToken;
    expect(await ask(stolen)).toEqual([401, 'invalid_token']);
  });
});

function payloadOf(token: string): unknown {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}
