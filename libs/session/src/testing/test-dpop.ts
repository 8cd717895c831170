import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import type { SessionCore } from '../core/session-core.js';
import { DpopNonces } from '../http/authentication/dpop-nonces.js';
import { accessTokenHash } from '../model/dpop-proof.js';
import { ConfigurationError } from '../model/errors.js';
import { publicJwkOf } from '../model/public-jwk.js';
import type { ResolvedDpopOptions } from '../options/resolved-options.js';

/** The key of one client, ES256, and proofs of it (RFC 9449, 4.2) that the application accepts. */
export class TestDpopKey {
  private readonly keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  private readonly jwk = this.keys.publicKey.export({ format: 'jwk' });
  private readonly nonces: DpopNonces;

  /** @param tenant Undefined where the application serves one. */
  constructor(
    private readonly core: SessionCore,
    private readonly options: ResolvedDpopOptions,
    tenant: string | undefined,
  ) {
    this.nonces = new DpopNonces(core.options.keys.dpop, () => tenant ?? core.options.currentTenant());
  }

  get thumbprint(): string {
    const thumbprint = publicJwkOf(this.jwk)?.thumbprint;
    if (thumbprint === undefined) throw new Error('a P-256 key has a thumbprint');
    return thumbprint;
  }

  /**
   * A new proof for one request, by the time of the sessions, with a nonce of the application.
   *
   * @param accessToken The token that is sent with it, if one is.
   * @throws {ConfigurationError} for a URL that is not absolute.
   */
  readonly proof = (method: string, url: string, accessToken?: string): string => {
    const now = this.core.store.now();
    const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: this.jwk };
    const payload = {
      jti: randomUUID(),
      htm: method.toUpperCase(),
      htu: this.targetOf(url),
      iat: Math.floor(now / 1000),
      nonce: this.nonces.issue(now),
      ...(accessToken !== undefined && { ath: accessTokenHash(accessToken) }),
    };
    const input = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    const key = { key: this.keys.privateKey, dsaEncoding: 'ieee-p1363' } as const;
    return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
  };

  /** What clients would be told to ask: with the option `publicUrl`, not where the test server happens to listen. */
  private targetOf(url: string): string {
    if (!URL.canParse(url)) {
      throw new ConfigurationError(
        `headersFor: "${url}" is no absolute URL. Pass the one that the request is sent to, such as http://127.0.0.1:3000/me.`,
      );
    }
    const { origin, pathname } = new URL(url);
    const { publicUrl } = this.options;
    if (!publicUrl || publicUrl.origin === origin) return origin + pathname;
    return publicUrl.origin + publicUrl.pathname.replace(/\/+$/, '') + pathname;
  }
}
