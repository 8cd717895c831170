import { createHmac, hash, timingSafeEqual, type KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { tenantPrefix } from './tenant.js';
import type { CredentialKind } from './token-family.js';

/** The parts of a token. Only `CredentialCodec.parse` guarantees that the tag was valid. */
export interface Credential {
  readonly kind: CredentialKind;
  readonly sessionId: string;
  readonly secret: string;
  readonly generation: number;
  /** When the token was issued, epoch ms; null in tokens of the earlier format, which had no branch. */
  readonly branch: number | null;
  /** Thumbprint of the key that the token is bound to (DPoP); absent for a token that counts by itself. */
  readonly jkt?: string | undefined;
}

/** A credential whose tag was valid. */
export class VerifiedCredential implements Credential {
  #hash: Buffer | null = null;

  constructor(
    readonly kind: CredentialKind,
    readonly sessionId: string,
    readonly secret: string,
    readonly generation: number,
    readonly branch: number | null,
    readonly jkt?: string,
  ) {
    Object.freeze(this);
  }

  /** SHA-256 of the secret, computed once. */
  get hash(): Buffer {
    return (this.#hash ??= secretHash(this.secret));
  }
}

/** How many tokens with a valid tag are remembered. */
const REMEMBERED = 10_000;

const PREFIX: Readonly<Record<CredentialKind, string>> = { cookie: 'st', refresh: 'rt' };
const KIND: Readonly<Record<string, CredentialKind | undefined>> = { st: 'cookie', rt: 'refresh' };

/** Maximum length of this library's tokens. Longer input is refused unread. */
export const MAX_CREDENTIAL_LENGTH = 512;

const GRAMMAR =
  /^(st|rt)_([A-Za-z0-9_-]{32})\.([A-Za-z0-9_~-]{1,256})\.(0|[1-9]\d{0,8})(?:\.(0|[1-9a-z][0-9a-z]{0,9}))?(?:\.([A-Za-z0-9_-]{43}))?\.([A-Za-z0-9_-]{43})$/;

/** The largest value of six bytes, the size of stored branches. */
const LAST_INSTANT = 2 ** 48 - 1;

/**
 * Writes and reads `<type>_<session id>.<secret>.<generation>.<branch>.<tag>`, with the thumbprint of a key before the tag in
 * tokens that are bound to one. The branch is an instant in base 36; the tag is HMAC-SHA-256 over everything before it and the tenant. Tokens without a branch are still read. The first key signs and
 * every key verifies, so keys can change without signing anyone out.
 */
export class CredentialCodec {
  /** Tokens whose tag was valid, by tenant and text. What a token says never changes: only whether it still counts. */
  private readonly verified = new LRUCache<string, VerifiedCredential>({ max: REMEMBERED });

  /** @param tenantOf Returns the tenant whose tokens are written and read; called for each token. */
  constructor(
    private readonly keys: readonly KeyObject[],
    private readonly tenantOf: () => string = () => '',
  ) {}

  format(credential: Credential): string {
    const body = bodyOf(credential);
    const [key] = this.keys;
    if (!key) throw new Error('a credential codec needs a key');
    return `${body}.${tagOf(key, this.tenantOf(), body).toString('base64url')}`;
  }

  /** The credential, or null when the text is not a token of this kind or its tag is wrong. Does no I/O. */
  parse(text: unknown, kind: CredentialKind): VerifiedCredential | null {
    if (typeof text !== 'string' || text.length > MAX_CREDENTIAL_LENGTH) return null;
    const tenant = this.tenantOf();
    // Not `get`, which notes the use: a token that is evicted although it is used is verified again, in two microseconds.
    const known = this.verified.peek(tenant === '' ? text : tenantPrefix(tenant) + text);
    if (known) return known.kind === kind ? known : null;
    const read = readParts(text);
    if (!read || read.kind !== kind) return null;
    const { sessionId, secret, generation, branch, jkt, tag } = read;
    const given = Buffer.from(tag, 'base64url');
    // 43 characters carry two spare bits: only the canonical spelling of a tag is accepted.
    if (given.toString('base64url') !== tag) return null;
    const body = text.slice(0, text.length - tag.length - 1);
    for (const key of this.keys) {
      if (timingSafeEqual(tagOf(key, tenant, body), given)) {
        const credential = new VerifiedCredential(kind, sessionId, secret, generation, branch, jkt);
        this.verified.set(tenant === '' ? text : tenantPrefix(tenant) + text, credential);
        return credential;
      }
    }
    return null;
  }
}

/** The parts of a token, without a check of its tag: for diagnosis, never to let anybody in. */
export function readCredential(text: string): Credential | null {
  const read = text.length > MAX_CREDENTIAL_LENGTH ? null : readParts(text);
  if (!read) return null;
  const { tag: _tag, ...credential } = read;
  return credential;
}

function readParts(text: string): (Credential & { readonly tag: string }) | null {
  const [, prefix, sessionId, secret, n, instant, jkt, tag] = GRAMMAR.exec(text) ?? [];
  const kind = prefix === undefined ? undefined : KIND[prefix];
  if (!kind || !sessionId || !secret || !n || !tag) return null;
  const branch = instant === undefined ? null : parseInt(instant, 36);
  return branch !== null && branch > LAST_INSTANT
    ? null
    : { kind, sessionId, secret, generation: Number(n), branch, tag, ...(jkt !== undefined && { jkt }) };
}

function bodyOf({ kind, sessionId, secret, generation, branch, jkt }: Credential): string {
  const body = `${PREFIX[kind]}_${sessionId}.${secret}.${generation}`;
  const dated = branch === null ? body : `${body}.${branch.toString(36)}`;
  return jkt === undefined ? dated : `${dated}.${jkt}`;
}

function tagOf(key: KeyObject, tenant: string, body: string): Buffer {
  return createHmac('sha256', key).update(tenantPrefix(tenant)).update(body).digest();
}

/** The server keeps this hash instead of the secret. */
export function secretHash(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}
