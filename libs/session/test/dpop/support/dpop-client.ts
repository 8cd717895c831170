import { generateKeyPairSync, hash, randomUUID, sign, constants, type JsonWebKey, type KeyObject } from 'node:crypto';
import type { Reply } from '../../support/browser.js';

export type ClientAlgorithm = 'ES256' | 'ES384' | 'EdDSA' | 'Ed25519' | 'PS256' | 'RS256';

/** What a test changes in a proof; undefined takes a field away. */
export interface ProofChanges {
  readonly header?: Record<string, unknown>;
  readonly payload?: Record<string, unknown>;
  readonly key?: KeyObject;
}

export interface Call extends ProofChanges {
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  /** Null sends none. Default: that of the last answer with one. */
  readonly token?: string | null;
  readonly scheme?: string;
  /** Sends this proof, or none. Default: a new one. */
  readonly proof?: string | null;
  /** What `htu` is made of, where it is not what is asked. */
  readonly base?: string;
}

export interface Tokens {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly tokenType: string;
}

/** A client that holds a key, sends a new proof with each request, and uses the nonces that it is given (RFC 9449). */
export class DpopClient {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly jwk: JsonWebKey;
  tokens: Tokens | null = null;
  nonce: string | null = null;
  /** How often a nonce was asked for. */
  asked = 0;
  /** How far the clock is wrong, seconds. */
  skew = 0;

  constructor(
    private readonly url: string,
    readonly algorithm: ClientAlgorithm = 'ES256',
  ) {
    const { privateKey, publicKey } = keyPairFor(algorithm);
    this.privateKey = privateKey;
    this.publicKey = publicKey;
    this.jwk = publicKey.export({ format: 'jwk' });
  }

  async login(userId = 'ada', call: Call = {}, path = '/login'): Promise<Reply> {
    const reply = await this.call(path, {
      method: 'POST',
      body: { userId, roles: ['admin'], transport: 'bearer' },
      token: null,
      ...call,
    });
    return this.keeping(reply);
  }

  async refresh(call: Call = {}, refreshToken = this.tokens?.refreshToken): Promise<Reply> {
    return this.keeping(await this.call('/refresh', { method: 'POST', body: { refreshToken }, token: null, ...call }));
  }

  /** Asks once more where the answer has a nonce. */
  async call(path: string, call: Call = {}): Promise<Reply> {
    const reply = await this.send(path, call);
    const nonce = reply.headers.get('dpop-nonce');
    if (nonce !== null) this.nonce = nonce;
    if (reply.status !== 401 || codeOf(reply) !== 'use_dpop_nonce' || call.proof !== undefined) return reply;
    this.asked += 1;
    return this.send(path, call);
  }

  async send(path: string, call: Call = {}): Promise<Reply> {
    const { method = 'GET', body, headers = {}, scheme = 'DPoP', base = this.url } = call;
    const token = call.token === undefined ? (this.tokens?.accessToken ?? null) : call.token;
    const proof = call.proof === undefined ? this.proof(method, base + path, token, call) : call.proof;
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(token !== null && { authorization: `${scheme} ${token}` }),
        ...(proof !== null && { dpop: proof }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: parsed(text), setCookies: [] };
  }

  proof(method: string, target: string, token: string | null, { header, payload, key }: ProofChanges = {}): string {
    const claims = {
      jti: randomUUID(),
      htm: method,
      htu: target.replace(/[?#].*$/, ''),
      iat: Math.floor(Date.now() / 1000) + this.skew,
      ...(token !== null && { ath: hash('sha256', token, 'base64url') }),
      ...(this.nonce !== null && { nonce: this.nonce }),
      ...payload,
    };
    const parameters = { typ: 'dpop+jwt', alg: this.algorithm, jwk: this.jwk, ...header };
    return signedProof(parameters, claims, key ?? this.privateKey, this.algorithm);
  }

  private keeping(reply: Reply): Reply {
    const { tokens } = (reply.body ?? {}) as { tokens?: Tokens };
    if (tokens) this.tokens = tokens;
    return reply;
  }
}

export function signedProof(header: unknown, payload: unknown, key: KeyObject, algorithm: ClientAlgorithm): string {
  const input = [header, payload].map((part) => encoded(JSON.stringify(part))).join('.');
  return `${input}.${signature(input, key, algorithm)}`;
}

export function encoded(text: string): string {
  return Buffer.from(text).toString('base64url');
}

export function signature(input: string, key: KeyObject, algorithm: ClientAlgorithm): string {
  const bytes = Buffer.from(input);
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  switch (algorithm) {
    case 'ES256':
    case 'ES384':
      return sign(algorithm === 'ES256' ? 'sha256' : 'sha384', bytes, { key, dsaEncoding: 'ieee-p1363' }).toString(
        'base64url',
      );
    case 'EdDSA':
    case 'Ed25519':
      return sign(null, bytes, key).toString('base64url');
    case 'PS256':
      return sign('sha256', bytes, { key, padding, saltLength: 32 }).toString('base64url');
    case 'RS256':
      return sign('sha256', bytes, key).toString('base64url');
  }
}

function keyPairFor(algorithm: ClientAlgorithm): { privateKey: KeyObject; publicKey: KeyObject } {
  if (algorithm === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' });
  if (algorithm === 'ES384') return generateKeyPairSync('ec', { namedCurve: 'P-384' });
  if (algorithm === 'EdDSA' || algorithm === 'Ed25519') return generateKeyPairSync('ed25519');
  return generateKeyPairSync('rsa', { modulusLength: 2048 });
}

export function codeOf({ body }: Reply): string | undefined {
  return (body as { code?: string } | undefined)?.code;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
