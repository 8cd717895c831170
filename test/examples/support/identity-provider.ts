import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Grant {
  readonly challenge: string;
  readonly nonce: string | null;
  readonly redirectUri: string;
}

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** An OpenID provider and OAuth server of one client, in which everybody who comes is signed in as `subject`. */
export class IdentityProvider {
  readonly clientId = 'client-1';
  readonly clientSecret = 'client-secret-1';
  subject = 'subject-1';
  /** Changes the claims of the next ID tokens. */
  forge: (claims: Record<string, unknown>) => Record<string, unknown> = (claims) => claims;
  readonly #grants = new Map<string, Grant>();
  readonly #server = createServer((request, response) => {
    this.#answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get issuer(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** What a browser does at the authorization endpoint: the user agrees, and the provider sends them back to this URL. */
  agree(location: string): URL {
    const { origin, searchParams } = new URL(location);
    if (origin !== this.issuer || searchParams.get('client_id') !== this.clientId)
      throw new Error(`not ours: ${location}`);
    if (searchParams.get('code_challenge_method') !== 'S256') throw new Error('PKCE is missing');
    const redirectUri = searchParams.get('redirect_uri') ?? '';
    const code = randomBytes(16).toString('base64url');
    this.#grants.set(code, {
      challenge: searchParams.get('code_challenge') ?? '',
      nonce: searchParams.get('nonce'),
      redirectUri,
    });
    const back = new URL(redirectUri);
    back.searchParams.set('code', code);
    back.searchParams.set('state', searchParams.get('state') ?? '');
    return back;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { issuer } = this;
    const path = new URL(request.url ?? '/', issuer).pathname;
    const json = (value: object, status = 200): unknown =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    switch (path) {
      case '/.well-known/openid-configuration':
        return void json({
          issuer,
          authorization_endpoint: `${issuer}/authorize`,
          token_endpoint: `${issuer}/token`,
          jwks_uri: `${issuer}/jwks`,
          response_types_supported: ['code'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['ES256'],
        });
      case '/jwks':
        return void json({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'ES256', use: 'sig' }] });
      case '/token': {
        const grant = this.#redeem(new URLSearchParams(await textOf(request)), request);
        if (!grant) return void json({ error: 'invalid_grant' }, 400);
        const idToken = this.#idToken(grant);
        return void json({
          access_token: `access-${this.subject}`,
          token_type: 'Bearer',
          expires_in: 60,
          id_token: idToken,
        });
      }
      case '/profile':
        // Google's form and GitHub's at once.
        return void json({ sub: this.subject, id: this.subject, login: this.subject });
      default:
        response.writeHead(404).end();
    }
  }

  /** A code counts once, for its client, its redirect URI, and anyone who has the verifier. */
  #redeem(form: URLSearchParams, { headers }: IncomingMessage): Grant | null {
    const code = form.get('code') ?? '';
    const grant = this.#grants.get(code);
    this.#grants.delete(code);
    const basic = Buffer.from(headers.authorization?.replace(/^Basic /, '') ?? '', 'base64').toString();
    const [id, secret] = basic === '' ? [form.get('client_id'), form.get('client_secret')] : basic.split(':');
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    const isRight =
      id === this.clientId &&
      secret === this.clientSecret &&
      grant?.challenge === challenge &&
      grant.redirectUri === form.get('redirect_uri');
    return isRight ? grant : null;
  }

  #idToken({ nonce }: Grant): string {
    const now = Math.floor(Date.now() / 1000);
    const claims = this.forge({
      iss: this.issuer,
      sub: this.subject,
      aud: this.clientId,
      exp: now + 60,
      iat: now,
      nonce,
      email: `${this.subject}@example.com`,
      email_verified: true,
    });
    const encoded = [{ alg: 'ES256', kid: 'k1' }, claims].map((part) =>
      Buffer.from(JSON.stringify(part)).toString('base64url'),
    );
    const signature = sign('sha256', Buffer.from(encoded.join('.')), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `${encoded.join('.')}.${signature.toString('base64url')}`;
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}
