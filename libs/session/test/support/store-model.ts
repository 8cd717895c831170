import type { LimitPolicy } from '../../src/model/limit.js';
import type { CredentialKind } from '../../src/model/token-family.js';
import type { DeviceType, EndReason } from '../../src/model/session.js';

/** One secret, as the model remembers it. */
export interface KnownSecret {
  hash: string;
  generation: number;
  /** When it was issued. */
  at: number;
  /** When its predecessor was issued; null if any secret may be the predecessor. */
  from: number | null;
  /** When the previous secret of the same generation was issued, or null. */
  instead: number | null;
  used: boolean;
  client: string | null;
  before: { hash: string; until: number } | null;
}

/** One session, as the model remembers it. */
export interface Known {
  readonly id: string;
  readonly user: string;
  readonly device: string | undefined;
  readonly type: DeviceType | undefined;
  readonly createdAt: number;
  readonly end: number;
  idle: number;
  seen: number;
  provedAt: number;
  email: string;
  roles: string[];
  data: Record<string, number>;
  /** Whether it waits for a further factor, and if so under what it is admitted in the end. */
  pending: boolean;
  admission: Admission | null;
  tokensFrom: number;
  revoked: Record<string, number>;
  secrets: Partial<Record<CredentialKind, KnownSecret>>;
  /** Every secret ever drawn, for presenting old ones. */
  drawn: Record<CredentialKind, string[]>;
  over: { reason: EndReason; at: number } | null;
}

/** A session that signs in, or that has waited for a further factor and is now complete. */
export interface SignIn {
  /** Of the latter. */
  id?: string;
  user: string;
  device?: string | undefined;
  type?: DeviceType | undefined;
  pending: boolean;
  replaces?: string | undefined;
  limit: ModelLimit;
}

export interface ModelLimit {
  max: number;
  maxOfType?: number;
  onLimit: LimitPolicy;
}

/** Under what a session that waits for a further factor is admitted in the end. */
export interface Admission {
  limit: ModelLimit;
  replaces?: string | undefined;
}

export interface ModelRule {
  grace: number;
  rotateAfter: number;
  rotateFirst: boolean;
  reuseDetection: 'after-use' | 'after-grace';
  clientBound: boolean;
}

export type ModelVerdict = 'unknown' | 'reuse' | 'advanced' | 'rotated' | 'kept' | 'repeated' | 'branched';

/**
 * What a store should be, written as plainly as possible: a flat list of everything that ever was, read from top to
 * bottom at each question. Nothing is indexed, nothing is removed, nothing is numbered.
 */
export class StoreModel {
  readonly all: Known[] = [];
  /** How often something was announced, `<type> <session or user>`. */
  readonly announced = new Map<string, number>();

  deadline(session: Known): number {
    return session.seen + session.idle < session.end ? session.seen + session.idle : session.end;
  }

  /** Why the session is over at this instant, or null. */
  fate(session: Known, now: number): EndReason | null {
    if (session.over) return session.over.reason;
    if (now < this.deadline(session)) return null;
    return session.seen + session.idle < session.end ? 'idle' : 'absolute';
  }

  live(now: number, user?: string): Known[] {
    return this.all.filter((known) => (user === undefined || known.user === user) && this.fate(known, now) === null);
  }

  /** Takes note of an end that has just been asked for. What was over before stays as it was. */
  close(session: Known, reason: EndReason, at: number): boolean {
    if (this.fate(session, at) !== null) return false;
    session.over = { reason, at };
    return true;
  }

  announce(type: string, of: string): void {
    const key = `${type} ${of}`;
    this.announced.set(key, (this.announced.get(key) ?? 0) + 1);
  }

  /** Who makes way for a sign-in, and why; or null where it must be refused. One that waits moves none but others that wait. */
  makeWay(signIn: SignIn, now: number): [Known, EndReason][] | null {
    const leaving: [Known, EndReason][] = [];
    const others = this.live(now, signIn.user).filter(({ id }) => id !== signIn.id);
    if (signIn.pending) {
      const waiting = others
        .filter(({ pending }) => pending)
        .sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
      return waiting.slice(0, Math.max(0, waiting.length - 2)).map((known) => [known, 'evicted']);
    }
    const staying = (): Known[] =>
      others.filter((known) => !known.pending && !leaving.some(([gone]) => gone === known));
    for (const known of others) {
      const sameDevice = signIn.device !== undefined && known.device === signIn.device;
      if (sameDevice || known.id === signIn.replaces) leaving.push([known, 'replaced']);
    }
    const { max, maxOfType = Infinity, onLimit } = signIn.limit;
    const rank = (known: Known): number => (onLimit === 'evict-oldest' ? known.createdAt : known.seen);
    const weakest = (candidates: Known[]): Known =>
      candidates.reduce((a, b) => (rank(b) < rank(a) || (rank(b) === rank(a) && b.id < a.id) ? b : a));
    const typeOf = ({ type }: { type?: DeviceType | undefined }): DeviceType => type ?? 'unknown';
    for (;;) {
      const ofType = staying().filter((known) => typeOf(known) === typeOf(signIn));
      const crowded = ofType.length >= maxOfType ? ofType : staying().length >= max ? staying() : null;
      if (!crowded) return leaving;
      if (onLimit === 'reject') return null;
      leaving.push([weakest(crowded), 'evicted']);
    }
  }

  /** Whether a user who is signed in elsewhere signs in on a device that none of those sessions is on. */
  isNewDevice(
    signIn: Pick<SignIn, 'id' | 'user' | 'device' | 'pending'> & { client: string | null },
    leaving: readonly [Known, EndReason][],
    now: number,
  ): boolean {
    if (signIn.pending || leaving.some(([known, reason]) => reason === 'replaced' && !known.pending)) return false;
    const gone = leaving.flatMap(([known, reason]) => (reason === 'replaced' ? [known] : []));
    const others = this.live(now, signIn.user).filter(
      (known) => known.id !== signIn.id && !known.pending && !gone.includes(known),
    );
    if (signIn.device !== undefined) return others.length > 0;
    const clients = others.flatMap(({ secrets }) => Object.values(secrets).flatMap(({ client }) => client ?? []));
    return signIn.client !== null && clients.length > 0 && !clients.includes(signIn.client);
  }

  /** What a presented token means: the table of docs/architecture.md, row by row. */
  verdict(
    secret: KnownSecret | undefined,
    token: { hash: string; generation: number; branch: number | null; client: string | null },
    now: number,
    rule: ModelRule,
  ): ModelVerdict {
    if (secret?.hash !== token.hash) return 'unknown';
    const ahead = token.generation - secret.generation;
    const isBranch = (at: number | null): boolean => token.branch === null || token.branch === at;
    if (ahead > 0 || (ahead === 0 && token.branch !== null && token.branch > secret.at)) return 'advanced';
    const inGrace = now - secret.at <= rule.grace;
    if (ahead === 0 && isBranch(secret.at)) {
      if (secret.generation === 0 && rule.rotateFirst) return 'rotated';
      return now - secret.at <= rule.rotateAfter ? 'kept' : 'rotated';
    }
    const stranger = secret.client !== null && token.client !== null && secret.client !== token.client;
    if (stranger && rule.clientBound) return 'reuse';
    const mayBeLost = rule.reuseDetection === 'after-use' && !secret.used;
    if (ahead === 0 && token.branch === secret.instead && (inGrace || mayBeLost)) return 'repeated';
    if (ahead === -1 && (secret.from === null || isBranch(secret.from))) {
      if (inGrace) return 'repeated';
      if (mayBeLost) return 'branched';
    }
    return 'reuse';
  }

  mayRegenerate(secret: KnownSecret | undefined, hash: string, now: number): boolean {
    if (!secret) return false;
    return secret.hash === hash || (secret.before?.hash === hash && now < secret.before.until);
  }

  /** Instants at which something changes by itself. */
  boundaries(now: number, waits: readonly number[]): number[] {
    return this.live(now).flatMap((known) => [
      this.deadline(known),
      ...Object.values(known.revoked),
      ...Object.values(known.secrets).flatMap(({ at, before }) => [
        ...waits.map((wait) => at + wait),
        ...(before ? [before.until] : []),
      ]),
    ]);
  }
}
