import { generateKeyPairSync, sign, type JsonWebKey, type KeyObject } from 'node:crypto';
import type { Browser, Reply } from '../../support/browser.js';

export type DeviceAlgorithm = 'ES256' | 'RS256';

/** What a test changes in a proof: parts of its header and payload, or the signature. */
export interface ProofChanges {
  readonly header?: Record<string, unknown>;
  readonly payload?: Record<string, unknown>;
  readonly key?: KeyObject;
}

/** The part of a browser that holds a key and speaks Device Bound Session Credentials. */
export class Device {
  readonly privateKey: KeyObject;
  readonly jwk: JsonWebKey;
  /** As the server named the session. */
  identifier = '';
  refreshUrl = '';

  constructor(readonly algorithm: DeviceAlgorithm = 'ES256') {
    const { privateKey, publicKey } =
      algorithm === 'ES256'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.privateKey = privateKey;
    this.jwk = publicKey.export({ format: 'jwk' });
  }

  /** Registers as the answer to a sign-in asks for. */
  async register(browser: Browser, signIn: Reply): Promise<Reply> {
    const { path, challenge } = offerIn(signIn);
    const reply = await browser.request(path, {
      method: 'POST',
      headers: { 'secure-session-response': `"${this.registrationProof(challenge)}"`, 'sec-fetch-site': 'same-origin' },
    });
    if (reply.status === 200) {
      const body = reply.body as { session_identifier: string; refresh_url: string };
      this.identifier = body.session_identifier;
      this.refreshUrl = body.refresh_url;
    }
    return reply;
  }

  /** Renews the cookie: asks for a challenge and signs it. */
  async refresh(browser: Browser): Promise<Reply> {
    const asked = await this.askRefresh(browser);
    return asked.status === 403 ? this.askRefresh(browser, this.refreshProof(challengeIn(asked))) : asked;
  }

  async askRefresh(browser: Browser, proof?: string): Promise<Reply> {
    return browser.request(this.refreshUrl, {
      method: 'POST',
      headers: {
        'sec-secure-session-id': `"${this.identifier}"`,
        ...(proof !== undefined && { 'secure-session-response': `"${proof}"` }),
      },
    });
  }

  registrationProof(challenge: string, changes: ProofChanges = {}): string {
    return this.proof(challenge, { ...changes, header: { jwk: this.jwk, ...changes.header } });
  }

  refreshProof(challenge: string, changes: ProofChanges = {}): string {
    return this.proof(challenge, changes);
  }

  private proof(challenge: string, { header = {}, payload = {}, key = this.privateKey }: ProofChanges): string {
    return signed({ alg: this.algorithm, typ: 'dbsc+jwt', ...header }, { jti: challenge, ...payload }, key);
  }
}

/** A compact JWS, signed by the key whatever the header says. */
export function signed(header: unknown, payload: unknown, key: KeyObject): string {
  const input = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const signature = sign(
    'sha256',
    Buffer.from(input),
    key.asymmetricKeyType === 'ec' ? { key, dsaEncoding: 'ieee-p1363' } : key,
  );
  return `${input}.${signature.toString('base64url')}`;
}

/** What a sign-in offers. Fails where it offers nothing. */
export function offerIn(reply: Reply): { path: string; challenge: string } {
  const header = reply.headers.get('secure-session-registration') ?? '';
  const [, path = '', challenge = ''] = /^\(ES256 RS256\);path="([^"]+)";challenge="([^"]+)"$/.exec(header) ?? [];
  if (path === '') throw new Error(`there is no offer in: ${header}`);
  return { path, challenge };
}

/** The challenge of an answer. Fails where there is none. */
export function challengeIn(reply: Reply): string {
  const header = reply.headers.get('secure-session-challenge') ?? '';
  const [, challenge = ''] = /^"([^"]+)";id="[^"]+"$/.exec(header) ?? [];
  if (challenge === '') throw new Error(`there is no challenge in: ${header}`);
  return challenge;
}
