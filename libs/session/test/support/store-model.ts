import type { LimitPolicy } from '../../src/model/limit.js';
import type { CredentialKind } from '../../src/model/lineage.js';
import type { DeviceType, EndReason } from '../../src/model/session.js';

/** One secret, as the model remembers it. */
export interface KnownSecret {
  hash: string;
  n: number;
  at: number;
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
  tokensFrom: number;
  revoked: Record<string, number>;
  secrets: Partial<Record<CredentialKind, KnownSecret>>;
  /** Every secret ever drawn, for presenting old ones. */
  drawn: Record<CredentialKind, string[]>;
  over: { reason: EndReason; at: number } | null;
}

export interface ModelLimit {
  max: number;
  maxOfType?: number;
  onLimit: LimitPolicy;
}

export interface ModelRule {
  grace: number;
  rotateAfter: number;
  rotateFirst: boolean;
}

export type ModelVerdict = 'unknown' | 'theft' | 'advanced' | 'rotated' | 'kept' | 'repeated';

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

  /** Who makes way for a sign-in, and why; or null where it must be refused. */
  makeWay(
    signIn: { user: string; device?: string; type?: DeviceType; replaces?: string; limit: ModelLimit },
    now: number,
  ): [Known, EndReason][] | null {
    const leaving: [Known, EndReason][] = [];
    const staying = (): Known[] =>
      this.live(now, signIn.user).filter((known) => !leaving.some(([gone]) => gone === known));
    for (const known of staying()) {
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
    signIn: { user: string; device?: string; client: string | null },
    leaving: readonly [Known, EndReason][],
    now: number,
  ): boolean {
    if (leaving.some(([, reason]) => reason === 'replaced')) return false;
    const others = this.live(now, signIn.user);
    if (signIn.device !== undefined) return others.length > 0;
    const clients = others.flatMap(({ secrets }) => Object.values(secrets).flatMap(({ client }) => client ?? []));
    return signIn.client !== null && clients.length > 0 && !clients.includes(signIn.client);
  }

  /** What a presented token means: the table of DESIGN.md, 5, row by row. */
  verdict(
    secret: KnownSecret | undefined,
    token: { hash: string; n: number; client: string | null },
    now: number,
    rule: ModelRule,
  ): ModelVerdict {
    if (secret?.hash !== token.hash) return 'unknown';
    const age = now - secret.at;
    const behind = secret.n - token.n;
    if (behind < 0) return 'advanced';
    if (behind === 0) {
      if (secret.n === 0 && rule.rotateFirst) return 'rotated';
      return age <= rule.rotateAfter ? 'kept' : 'rotated';
    }
    const stranger = secret.client !== null && token.client !== null && secret.client !== token.client;
    return behind === 1 && age <= rule.grace && !stranger ? 'repeated' : 'theft';
  }

  mayRenew(secret: KnownSecret | undefined, hash: string, now: number): boolean {
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
