import type { CredentialKind, RotationRule } from '../../model/lineage.js';
import type { Session } from '../../model/session.js';
import type { LiveSession, RotateOutcome } from '../../ports/session-store.js';
import { anyHash, HOUR, MINUTE, SECOND, type OpenStore, type TestBed } from '../test-bed.js';
import { expect } from '../test-api.js';

export const GRACE = 30 * SECOND;

/** How the services use the two lineages. */
export const REFRESH: RotationRule = { grace: GRACE, rotateAfter: GRACE, rotateFirst: true };
export const COOKIE: RotationRule = { grace: GRACE, rotateAfter: 10 * MINUTE, rotateFirst: false };
export const COOKIE_FOR_GOOD: RotationRule = { grace: GRACE, rotateAfter: Infinity, rotateFirst: false };

/** A session with both secrets, and somebody who presents them. */
export class RotateScene {
  readonly hashes = { cookie: anyHash(), refresh: anyHash() };
  session!: Session;

  private constructor(readonly bed: TestBed) {}

  static async of(open: OpenStore): Promise<RotateScene> {
    const scene = new RotateScene(await open());
    const credentials = scene.hashes;
    scene.session = await scene.bed.store.create({ userId: 'ada' }, { credentials, absoluteTimeout: 20 * HOUR });
    return scene;
  }

  present(
    kind: CredentialKind,
    n: number,
    rule: RotationRule = kind === 'refresh' ? REFRESH : COOKIE,
    more: { client?: Buffer | null; hash?: Buffer; touch?: boolean; by?: TestBed['store'] } = {},
  ): Promise<RotateOutcome> {
    const { client, hash = this.hashes[kind], touch = true, by = this.bed.store } = more;
    return by.rotate(this.session.id, { ...rule, kind, presented: { hash, n, client }, touch });
  }

  /** Rotates until the current number is `n`; returns when that happened. */
  async rotateTo(kind: CredentialKind, n: number, client?: Buffer): Promise<number> {
    const due = { grace: 0, rotateAfter: 0, rotateFirst: true };
    for (let current = await this.current(kind); current < n; current += 1) {
      await this.bed.advance(SECOND);
      await this.present(kind, current, due, { client });
    }
    expect(await this.current(kind)).toBe(n);
    return (await this.lineage(kind))?.rotatedAt ?? 0;
  }

  async lineage(kind: CredentialKind) {
    return ((await this.bed.store.read(this.session.id)) as LiveSession).lineages[kind];
  }

  async current(kind: CredentialKind): Promise<number> {
    return (await this.lineage(kind))?.n ?? -1;
  }
}

/** The outcome in two words. */
export function summary(outcome: RotateOutcome): string {
  return 'n' in outcome ? `${outcome.state} ${outcome.n}` : outcome.state;
}
