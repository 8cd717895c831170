import type { CredentialKind, RotationRule } from '../../model/token-family.js';
import type { Session } from '../../model/session.js';
import type { LiveSession, RotateOutcome } from '../../ports/session-store.js';
import { anyHash, HOUR, MINUTE, SECOND, type OpenStore, type TestBed } from '../test-bed.js';
import { expect } from '../test-api.js';

export const GRACE = 30 * SECOND;

/** How the services use the two families. */
export const REFRESH: RotationRule = { grace: GRACE, rotateAfter: GRACE, rotateFirst: true };
export const COOKIE: RotationRule = { grace: GRACE, rotateAfter: 10 * MINUTE, rotateFirst: false };
export const COOKIE_FOR_GOOD: RotationRule = { grace: GRACE, rotateAfter: Infinity, rotateFirst: false };

/** A session with both secrets, and a client that presents them. */
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
    more: {
      branch?: number | null;
      client?: Buffer | null;
      hash?: Buffer;
      touch?: boolean;
      by?: TestBed['store'];
    } = {},
  ): Promise<RotateOutcome> {
    const { branch, client, hash = this.hashes[kind], touch = true, by = this.bed.store } = more;
    return by.rotate(this.session.id, { ...rule, kind, presented: { hash, generation: n, branch, client }, touch });
  }

  /** Rotates until the current generation is `n`; returns when that happened. */
  async rotateTo(kind: CredentialKind, n: number, client?: Buffer): Promise<number> {
    const due = { grace: 0, rotateAfter: 0, rotateFirst: true };
    for (let current = await this.current(kind); current < n; current += 1) {
      await this.bed.advance(SECOND);
      await this.present(kind, current, due, { client });
    }
    expect(await this.current(kind)).toBe(n);
    return (await this.family(kind))?.branch ?? 0;
  }

  async family(kind: CredentialKind) {
    return ((await this.bed.store.read(this.session.id)) as LiveSession).families[kind];
  }

  /** Records that the current token is in use, like a request with it. */
  async use(kind: CredentialKind): Promise<void> {
    const branch = (await this.family(kind))?.branch ?? -1;
    expect(await this.bed.store.touch(this.session.id, { slide: false, used: { kind, branch } })).toBe(true);
    expect((await this.family(kind))?.inUse).toBe(true);
  }

  async current(kind: CredentialKind): Promise<number> {
    return (await this.family(kind))?.generation ?? -1;
  }
}

/** A short form of the outcome. */
export function summary(outcome: RotateOutcome): string {
  return 'generation' in outcome ? `${outcome.state} ${outcome.generation}` : outcome.state;
}
