import * as oauth from 'oauth4webapi';
import { readFileSync } from 'node:fs';
import ts from 'typescript';
import { MemorySessionStore } from '../../src/index.js';
import { closeApps, PLATFORMS, startApp, type TestApp } from '../support/app.js';
import type { Tokens } from './support/dpop-client.js';
import { DpopController } from './support/dpop.controller.js';

/** A request of a client, with its token, or without one where it asks for tokens. */
type Send = (url: string, init?: RequestInit, accessToken?: string) => Promise<Response>;

interface DocumentedClient {
  fetch: Send;
}

/** The class of docs/dpop.md, as a reader would take it over. */
function documentedClient(): DocumentedClient {
  const block = /```ts\n(const base64url[^]*?)```/.exec(readFileSync('docs/dpop.md', 'utf8'))?.[1] ?? '';
  const { outputText } = ts.transpileModule(block, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  });
  const exported: { DpopClient?: new () => DocumentedClient } = {};
  // eslint-disable-next-line @typescript-eslint/no-implied-eval, @typescript-eslint/no-unsafe-call -- our own page
  new Function('exports', outputText)(exported);
  if (!exported.DpopClient) throw new Error('docs/dpop.md has no class DpopClient');
  return new exported.DpopClient();
}

/** oauth4webapi, by the author of jose; it keeps the nonces that it is given. */
async function oauthClient(algorithm: string): Promise<Send> {
  const handle = oauth.DPoP({}, await oauth.generateKeyPair(algorithm));
  return async (url, init = {}, accessToken = 'none') => {
    const ask = (): Promise<Response> =>
      oauth.protectedResourceRequest(
        accessToken,
        init.method ?? 'GET',
        new URL(url),
        new Headers(init.headers),
        init.body as string | undefined,
        { DPoP: handle, [oauth.allowInsecureRequests]: true },
      );
    try {
      return await ask();
    } catch (error) {
      if (oauth.isDPoPNonceError(error)) return ask();
      throw error;
    }
  };
}

describe.each(PLATFORMS)('real clients on %s', (platform) => {
  afterEach(closeApps);

  const start = (nonce: boolean): Promise<TestApp> =>
    startApp({
      platform,
      controllers: [DpopController],
      session: {
        store: new MemorySessionStore(),
        jwt: { issuer: 'i', audience: 'a', dpop: { mode: 'required', nonce } },
      },
    });

  const json = { 'content-type': 'application/json' };

  const useIt = async (app: TestApp, send: Send): Promise<void> => {
    const post = async (path: string, body: unknown): Promise<Tokens> => {
      const reply = await send(app.url + path, { method: 'POST', headers: json, body: JSON.stringify(body) });
      expect(reply.status).toBe(200);
      return ((await reply.json()) as { tokens: Tokens }).tokens;
    };
    const first = await post('/login', { userId: 'ada', transport: 'bearer' });
    expect(first.tokenType).toBe('DPoP');
    const { accessToken } = await post('/refresh', { refreshToken: first.refreshToken });
    for (const [path, method] of [
      ['/me', 'GET'],
      ['/bound?a=b', 'GET'],
      ['/me', 'POST'],
    ] as const)
      expect((await send(app.url + path, { method }, accessToken)).status).toBe(200);
  };

  it.each([false, true])('the client of docs/dpop.md, nonce %s', async (nonce) => {
    const client = documentedClient();
    await useIt(await start(nonce), (...given) => client.fetch(...given));
  });

  it.each(['ES256', 'Ed25519', 'PS256', 'RS256'])('oauth4webapi with %s', async (algorithm) => {
    const send = await oauthClient(algorithm);
    await useIt(await start(false), send);
    await useIt(await start(true), send);
  });

  it('oauth4webapi understands the challenge of a refusal', async () => {
    const app = await start(false);
    const send = await oauthClient('ES256');
    const refused = send(`${app.url}/me`, {}, 'a.b.c');
    await expect(refused).rejects.toMatchObject({
      status: 401,
      cause: [{ scheme: 'dpop', parameters: { error: 'invalid_token', algs: expect.stringContaining('ES256') } }],
    });
  });
});
