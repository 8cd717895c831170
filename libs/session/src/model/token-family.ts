/** Which of a session's two secrets: the cookie's, or the refresh token's. */
export type CredentialKind = 'cookie' | 'refresh';

export const REUSE_DETECTIONS = ['after-use', 'after-grace'] as const;

/**
 * When a replaced token counts as reuse. `after-use`: once its successor was used, or the access token that came with the
 * successor. `after-grace`: at every replay after the grace window.
 */
export type ReuseDetection = (typeof REUSE_DETECTIONS)[number];

/** What the server stores of one secret. It grants no access. */
export interface TokenFamily {
  /** SHA-256 of the secret part. */
  readonly hash: Buffer;
  /** How often the token was rotated. */
  readonly generation: number;
  /** When the current token was issued, epoch ms. No two tokens of a family share it. */
  readonly branch: number;
  /** The branch that the current generation came from; null if unknown, which matches any. */
  readonly parentBranch: number | null;
  /** The branch of this generation that the current one replaced last, or null. */
  readonly replacedBranch: number | null;
  /** Whether the current token, or the access token that came with it, was seen in use. */
  readonly inUse: boolean;
  /** 64-bit digest of the client that rotated it last, or null if unknown. */
  readonly client: Buffer | null;
  /** The secret that a regeneration replaced. Only valid for repeating that regeneration. */
  readonly previous: { readonly hash: Buffer; readonly until: number } | null;
}

export interface TokenFamilies {
  readonly cookie: TokenFamily | null;
  readonly refresh: TokenFamily | null;
}

/** A credential with a valid tag. */
export interface Presented {
  readonly hash: Buffer;
  readonly generation: number;
  /** Null or absent for a token of the earlier format, which has no branch and matches any. */
  readonly branch?: number | null;
  readonly client?: Buffer | null;
}

/** The current token of a family that was seen in use. */
export interface UsedCredential {
  readonly kind: CredentialKind;
  readonly branch: number;
}

export interface RotationRule {
  /** How long after a rotation the previous token always counts as a repeated request, ms. */
  readonly grace: number;
  /** The current token rotates once it is older than this, ms; `Infinity` for never. */
  readonly rotateAfter: number;
  /** Whether a token that was never rotated rotates at once. */
  readonly rotateFirst: boolean;
  /** Default `after-use`. */
  readonly reuseDetection?: ReuseDetection;
  /** Whether a replaced token counts as reuse when another client presents it. Default true. */
  readonly clientBound?: boolean;
}

/**
 * - `unknown`: wrong secret; nothing changes, so that a guess cannot end a session.
 * - `keep`: the token is the current one and stays.
 * - `rotate`: current, and due.
 * - `repeat`: replaced, and its successor may not have arrived: issue the current one again.
 * - `branch`: replaced longer ago, and its successor was never used: issue another token of the current generation.
 * - `reuse`: replaced, and its successor was used, or it comes from another client.
 * - `advance`: newer than the stored state: the store lost a write.
 */
export type FamilyVerdict = 'unknown' | 'keep' | 'rotate' | 'repeat' | 'branch' | 'reuse' | 'advance';

/**
 * Evaluates a presented credential. Pure. The Redis scripts use the same rules; the contract suite checks that both agree.
 */
export function evaluate(
  family: TokenFamily | null,
  presented: Presented,
  now: number,
  rule: RotationRule,
): FamilyVerdict {
  if (!family || !isSame(family.hash, presented.hash)) return 'unknown';
  const behind = family.generation - presented.generation;
  const branch = presented.branch ?? null;
  if (behind < 0 || (behind === 0 && branch !== null && branch > family.branch)) return 'advance';
  const age = Math.max(0, now - family.branch);
  if (behind === 0 && (branch === null || branch === family.branch)) {
    return age > rule.rotateAfter || (family.generation === 0 && rule.rotateFirst) ? 'rotate' : 'keep';
  }
  if (rule.clientBound !== false && differs(family.client, presented.client)) return 'reuse';
  const unused = rule.reuseDetection !== 'after-grace' && !family.inUse;
  if (behind === 0) return branch === family.replacedBranch && (age <= rule.grace || unused) ? 'repeat' : 'reuse';
  if (behind > 1 || (branch !== null && family.parentBranch !== null && branch !== family.parentBranch)) return 'reuse';
  if (age <= rule.grace) return 'repeat';
  return unused ? 'branch' : 'reuse';
}

/** At every request: a call of `Buffer.equals`, which is no JavaScript, takes several times as long for 32 bytes. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index += 1) if (a[index] !== b[index]) return false;
  return true;
}

/** The family after the verdict on a presented token took effect. */
export function familyAfter(
  family: TokenFamily,
  verdict: FamilyVerdict,
  presented: Presented,
  now: number,
): TokenFamily {
  const client = presented.client ?? family.client;
  switch (verdict) {
    case 'keep':
      return inUse(family);
    case 'rotate':
      return {
        ...family,
        generation: family.generation + 1,
        branch: nextBranch(family, now),
        parentBranch: family.branch,
        replacedBranch: null,
        inUse: false,
        client,
      };
    case 'branch':
      return { ...family, branch: nextBranch(family, now), replacedBranch: family.branch, inUse: false, client };
    case 'advance':
      return {
        ...family,
        generation: presented.generation,
        branch: presented.branch ?? nextBranch(family, now),
        parentBranch: null,
        replacedBranch: presented.generation === family.generation ? family.branch : null,
        inUse: true,
        client,
      };
    default:
      return family;
  }
}

/** The family once its current token was seen in use. */
export function inUse(family: TokenFamily): TokenFamily {
  return family.inUse ? family : { ...family, inUse: true };
}

/** Whether the store has yet to note that the current token is in use. */
export function isUseUnknown(family: TokenFamily | null): family is TokenFamily {
  return family !== null && !family.inUse;
}

/** A family with a new secret. No earlier token exists, so none can be reused. */
export function newTokenFamily(hash: Buffer, now: number, client: Buffer | null = null): TokenFamily {
  return {
    hash,
    generation: 0,
    branch: now,
    parentBranch: null,
    replacedBranch: null,
    inUse: true,
    client,
    previous: null,
  };
}

/** The family with a replaced secret: no grace, but the same regeneration may be repeated for `repeatableFor` ms. */
export function redrawn(family: TokenFamily, hash: Buffer, now: number, repeatableFor: number): TokenFamily {
  return {
    ...newTokenFamily(hash, nextBranch(family, now), family.client),
    previous: { hash: family.hash, until: now + repeatableFor },
  };
}

function nextBranch(family: TokenFamily, now: number): number {
  return Math.max(now, family.branch + 1);
}

function differs(known: Buffer | null, presented: Buffer | null | undefined): boolean {
  return known !== null && presented !== null && presented !== undefined && !known.equals(presented);
}
