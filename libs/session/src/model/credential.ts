import { createHmac, hash, timingSafeEqual, type KeyObject } from 'node:crypto';
import type { CredentialKind } from './lineage.js';

/** A token taken apart. Only `parseCredential` of a `CredentialCodec` makes one whose tag is good. */
export interface Credential {
  readonly kind: CredentialKind;
  readonly sessionId: string;
  readonly secret: string;
  readonly n: number;
}

const PREFIX: Readonly<Record<CredentialKind, string>> = { cookie: 'st', refresh: 'rt' };
const KIND: Readonly<Record<string, CredentialKind | undefined>> = { st: 'cookie', rt: 'refresh' };

/** No token is longer; longer input is refused unread. */
export const MAX_CREDENTIAL_LENGTH = 512;

const GRAMMAR = /^(st|rt)_([A-Za-z0-9_-]{32})\.([A-Za-z0-9_~-]{1,256})\.(0|[1-9]\d{0,8})\.([A-Za-z0-9_-]{43})$/;

/**
 * Writes and reads `<type>_<session id>.<secret>.<n>.<tag>`, where the tag is HMAC-SHA-256 over all that stands before
 * it. The first key signs; every key is recognised, so keys can change without signing anyone out.
 */
export class CredentialCodec {
  constructor(private readonly keys: readonly KeyObject[]) {}

  format(credential: Credential): string {
    const body = bodyOf(credential);
    const [key] = this.keys;
    if (!key) throw new Error('a credential codec needs a key');
    return `${body}.${tagOf(key, body).toString('base64url')}`;
  }

  /** The credential, or null when the text is not one of the wanted kind or its tag does not hold. Does no I/O. */
  parse(text: unknown, kind: CredentialKind): Credential | null {
    if (typeof text !== 'string' || text.length > MAX_CREDENTIAL_LENGTH) return null;
    const match = GRAMMAR.exec(text);
    if (!match) return null;
    const [, prefix, sessionId, secret, n, tag] = match;
    if (!prefix || !sessionId || !secret || !n || !tag || KIND[prefix] !== kind) return null;
    const given = Buffer.from(tag, 'base64url');
    // 43 characters carry two spare bits: only the canonical spelling of a tag is accepted.
    if (given.toString('base64url') !== tag) return null;
    const body = text.slice(0, text.length - tag.length - 1);
    for (const key of this.keys) {
      if (timingSafeEqual(tagOf(key, body), given)) return { kind, sessionId, secret, n: Number(n) };
    }
    return null;
  }
}

function bodyOf({ kind, sessionId, secret, n }: Credential): string {
  return `${PREFIX[kind]}_${sessionId}.${secret}.${n}`;
}

function tagOf(key: KeyObject, body: string): Buffer {
  return createHmac('sha256', key).update(body).digest();
}

/** What the server keeps of a credential's secret. */
export function secretHash(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}
