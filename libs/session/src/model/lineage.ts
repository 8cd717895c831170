/** Which of a session's two secrets: the cookie's, or the refresh token's. */
export type CredentialKind = 'cookie' | 'refresh';

/** What the server keeps of one secret. Nothing in it lets anyone in. */
export interface Lineage {
  /** SHA-256 of the secret part. */
  readonly hash: Buffer;
  /** How often the token was rotated. */
  readonly n: number;
  /** When it was last rotated or drawn. */
  readonly rotatedAt: number;
  /** 64-bit digest of the client that rotated it last, or null where unknown. */
  readonly client: Buffer | null;
  /** The secret that a step-up replaced, for repeating that step-up alone. */
  readonly previous: { readonly hash: Buffer; readonly until: number } | null;
}

export interface Lineages {
  readonly cookie: Lineage | null;
  readonly refresh: Lineage | null;
}

/** A credential whose tag was found good. */
export interface Presented {
  readonly hash: Buffer;
  readonly n: number;
  readonly client?: Buffer | null;
}

export interface RotationRule {
  /** How long after a rotation the token before the current one still counts as a repeated request, ms. */
  readonly grace: number;
  /** The current token rotates once it is older than this, ms; `Infinity` for never. */
  readonly rotateAfter: number;
  /** Whether a token that was never rotated rotates at once. */
  readonly rotateFirst: boolean;
}

/**
 * - `unknown`: wrong secret; nothing changes, nobody is signed out for a guess.
 * - `keep`: the token is the current one and stays.
 * - `rotate`: current, and due.
 * - `repeat`: the one before, inside the grace window: hand out the current one again.
 * - `theft`: an old token came back too late, or from another client.
 * - `advance`: a token newer than the server's memory: the store lost a write.
 */
export type LineageVerdict = 'unknown' | 'keep' | 'rotate' | 'repeat' | 'theft' | 'advance';

/**
 * What a presented credential means. Pure; the Redis scripts decide by the same table, and the contract suite holds the
 * two together.
 */
export function judge(lineage: Lineage | null, presented: Presented, now: number, rule: RotationRule): LineageVerdict {
  if (!lineage || !lineage.hash.equals(presented.hash)) return 'unknown';
  if (presented.n > lineage.n) return 'advance';
  const age = Math.max(0, now - lineage.rotatedAt);
  if (presented.n === lineage.n) {
    return age > rule.rotateAfter || (lineage.n === 0 && rule.rotateFirst) ? 'rotate' : 'keep';
  }
  if (presented.n === lineage.n - 1 && age <= rule.grace && !differs(lineage.client, presented.client)) return 'repeat';
  return 'theft';
}

function differs(known: Buffer | null, presented: Buffer | null | undefined): boolean {
  return known !== null && presented !== null && presented !== undefined && !known.equals(presented);
}

/** A lineage with a newly drawn secret. */
export function newLineage(hash: Buffer, now: number, client: Buffer | null = null): Lineage {
  return { hash, n: 0, rotatedAt: now, client, previous: null };
}

/** The lineage after a rotation to `n`. */
export function rotated(lineage: Lineage, n: number, now: number, client: Buffer | null = null): Lineage {
  return { ...lineage, n, rotatedAt: now, client };
}

/** The lineage after its secret was replaced: no grace, but the step-up itself may be repeated until `repeatableFor` is over. */
export function redrawn(lineage: Lineage, hash: Buffer, now: number, repeatableFor: number): Lineage {
  return {
    hash,
    n: 0,
    rotatedAt: now,
    client: lineage.client,
    previous: { hash: lineage.hash, until: now + repeatableFor },
  };
}
