// Over 300 lines because it is one chapter of the contract suite.
import type { CredentialKind, RotationRule } from '../../model/token-family.js';
import { anyClient, MINUTE, SECOND, type OpenStore } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';
import { COOKIE_FOR_GOOD, GRACE, REFRESH, RotateScene, summary } from './rotate-scene.js';

/** A token: generation and branch. */
type Token = readonly [number, number | null];

/** A session whose tokens are named by generation and branch, as clients hold them. */
class BranchScene {
  private constructor(
    readonly scene: RotateScene,
    readonly kind: CredentialKind,
    readonly rule: RotationRule,
  ) {}

  static async of(open: OpenStore, kind: CredentialKind, rule: Partial<RotationRule> = {}): Promise<BranchScene> {
    return new BranchScene(await RotateScene.of(open), kind, {
      ...(kind === 'refresh' ? REFRESH : COOKIE_FOR_GOOD),
      ...rule,
    });
  }

  /** The current token, as the client gets it. */
  async current(): Promise<Token> {
    const family = await this.scene.family(this.kind);
    return [family?.generation ?? -1, family?.branch ?? -1];
  }

  async present([generation, branch]: Token, client?: Buffer): Promise<string> {
    return summary(await this.scene.present(this.kind, generation, this.rule, { branch, client, touch: false }));
  }

  /** Rotates the current token; returns the one that was replaced. */
  async rotate(client?: Buffer): Promise<Token> {
    const replaced = await this.current();
    const due = { ...this.rule, rotateAfter: -1, rotateFirst: true };
    const more = { branch: replaced[1], client };
    expect(summary(await this.scene.present(this.kind, replaced[0], due, more))).toBe(`rotated ${replaced[0] + 1}`);
    return replaced;
  }

  /** Moves past the grace window of the current branch. */
  async pastGrace(): Promise<void> {
    await this.scene.bed.goPast((await this.current())[1] as number);
    await this.scene.bed.advance(GRACE + SECOND);
  }

  async isLive(): Promise<boolean> {
    return (await this.scene.bed.store.get(this.scene.session.id)) !== null;
  }
}

/** A replaced token stays valid until its successor was used (the table of docs/architecture.md). */
export function describeBranches(open: OpenStore): void {
  for (const kind of ['refresh', 'cookie'] as const) {
    describe(`rotate: a replaced token whose successor may have been lost (${kind})`, () => {
      it('is good long after the grace window while nothing shows that its successor arrived', async () => {
        const scene = await BranchScene.of(open, kind);
        const replaced = await scene.rotate();
        const lost = await scene.current();
        for (let again = 0; again < 3; again += 1) {
          const before = await scene.current();
          await scene.pastGrace();
          expect(await scene.present(replaced)).toBe('branched 1');
          const [generation, branch] = await scene.current();
          expect(generation).toBe(1);
          expect(branch).toBeGreaterThan(before[1] as number);
        }
        expect(await scene.current()).not.toEqual(lost);
        expect(await scene.isLive()).toBe(true);
      });

      it('is reuse once its successor was presented', async () => {
        const scene = await BranchScene.of(open, kind);
        const replaced = await scene.rotate();
        expect(await scene.present(await scene.current())).toBe('kept 1');
        await scene.pastGrace();
        expect(await scene.present(replaced)).toBe('reuse');
        expect(await scene.isLive()).toBe(false);
      });

      it('is reuse once its successor was seen in use', async () => {
        const scene = await BranchScene.of(open, kind);
        const replaced = await scene.rotate();
        await scene.scene.use(kind);
        await scene.pastGrace();
        expect(await scene.present(replaced)).toBe('reuse');
      });

      it('is reuse at every replay past the grace window under after-grace (ASVS 10.4.5)', async () => {
        const scene = await BranchScene.of(open, kind, { reuseDetection: 'after-grace' });
        const replaced = await scene.rotate();
        expect(await scene.present(replaced)).toBe('repeated 1');
        await scene.pastGrace();
        expect(await scene.present(replaced)).toBe('reuse');
      });

      it('within the grace window gets the current one again, whatever was used', async () => {
        const scene = await BranchScene.of(open, kind);
        const replaced = await scene.rotate();
        await scene.scene.use(kind);
        expect(await scene.present(replaced)).toBe('repeated 1');
        await scene.scene.bed.goJustBefore(((await scene.current())[1] as number) + GRACE);
        expect(await scene.present(replaced)).toBe('repeated 1');
      });

      it('the branch replaced last, arriving late, gets the current token; its use is reuse afterwards', async () => {
        const scene = await BranchScene.of(open, kind);
        const parent = await scene.rotate();
        const late = await scene.current();
        await scene.pastGrace();
        expect(await scene.present(parent)).toBe('branched 1');
        const current = await scene.current();
        expect(await scene.present(late)).toBe('repeated 1');
        await scene.pastGrace();
        expect(await scene.present(late)).toBe('repeated 1');
        expect(await scene.current()).toEqual(current);
        await scene.scene.use(kind);
        expect(await scene.present(late)).toBe('reuse');
      });

      it('the branch replaced last gets the current token within the grace window, also when that is in use', async () => {
        const scene = await BranchScene.of(open, kind);
        const parent = await scene.rotate();
        const late = await scene.current();
        await scene.pastGrace();
        expect(await scene.present(parent)).toBe('branched 1');
        await scene.scene.use(kind);
        expect(await scene.present(late)).toBe('repeated 1');
        const strict = await BranchScene.of(open, kind, { grace: 0 });
        const first = await strict.rotate();
        const second = await strict.current();
        await strict.pastGrace();
        expect(await strict.present(first)).toBe('branched 1');
        await strict.scene.use(kind);
        await strict.pastGrace();
        expect(await strict.present(second)).toBe('reuse');
      });

      it('a branch replaced before the last is reuse', async () => {
        const scene = await BranchScene.of(open, kind);
        const parent = await scene.rotate();
        const first = await scene.current();
        for (let again = 0; again < 2; again += 1) {
          await scene.pastGrace();
          expect(await scene.present(parent)).toBe('branched 1');
        }
        expect(await scene.present(first)).toBe('reuse');
        expect(await scene.isLive()).toBe(false);
      });

      it('another branch of the generation before is reuse, grace window or not', async () => {
        const scene = await BranchScene.of(open, kind);
        const grandparent = await scene.rotate();
        const sibling = await scene.current();
        await scene.pastGrace();
        expect(await scene.present(grandparent)).toBe('branched 1');
        await scene.rotate();
        expect(await scene.present(sibling)).toBe('reuse');
      });

      it('two behind is reuse, whether or not anything in between was used', async () => {
        const scene = await BranchScene.of(open, kind);
        const first = await scene.rotate();
        await scene.rotate();
        expect(await scene.present(first)).toBe('reuse');
      });

      it('a rotation resets the branches: the old ones no longer count', async () => {
        const scene = await BranchScene.of(open, kind);
        const parent = await scene.rotate();
        await scene.pastGrace();
        expect(await scene.present(parent)).toBe('branched 1');
        const replaced = await scene.rotate();
        const family = await scene.scene.family(kind);
        expect(family).toMatchObject({ generation: 2, parentBranch: replaced[1], replacedBranch: null, inUse: false });
        await scene.pastGrace();
        expect(await scene.present(replaced)).toBe('branched 2');
      });

      it('no two tokens of a family share a branch, however fast they follow each other', async () => {
        const scene = await BranchScene.of(open, kind);
        const branches = [(await scene.current())[1]];
        for (let rotation = 0; rotation < 5; rotation += 1) {
          await scene.rotate();
          branches.push((await scene.current())[1]);
        }
        expect(branches).toEqual([...new Set(branches)].sort((a, b) => (a as number) - (b as number)));
        await scene.scene.bed.store.regenerate(scene.scene.session.id, {
          credentials: { [kind]: scene.scene.hashes[kind] },
          freshen: false,
          repeatableFor: 0,
        });
        expect((await scene.current())[1]).toBeGreaterThan(branches.at(-1) as number);
      });

      it('a later branch of the current generation: a write was lost, and the token is taken over', async () => {
        const scene = await BranchScene.of(open, kind);
        const log = await scene.scene.bed.record();
        const parent = await scene.rotate();
        const known = await scene.current();
        const later = (known[1] as number) + 5;
        expect(await scene.present([1, later])).toBe('advanced 1');
        expect(await scene.scene.family(kind)).toMatchObject({
          branch: later,
          parentBranch: null,
          replacedBranch: known[1],
          inUse: true,
        });
        expect(await scene.present([0, (parent[1] as number) - 7])).toBe('repeated 1');
        expect(await log.of('rotation-lost', scene.scene.session.id)).toHaveLength(1);
        await scene.pastGrace();
        expect(await scene.present([0, (parent[1] as number) - 7])).toBe('reuse');
      });

      it('a later generation brings its branch along, and any parent of it counts', async () => {
        const scene = await BranchScene.of(open, kind);
        const at = scene.scene.bed.store.now() + 3;
        expect(await scene.present([4, at])).toBe('advanced 4');
        expect(await scene.current()).toEqual([4, at]);
        expect(await scene.scene.family(kind)).toMatchObject({ parentBranch: null, replacedBranch: null, inUse: true });
        expect(await scene.present([3, 12_345])).toBe('repeated 4');
        expect(await scene.present([4, at - 1])).toBe('reuse');
      });

      it('a token that names no branch, as earlier versions wrote it, matches any', async () => {
        const scene = await BranchScene.of(open, kind);
        const [generation] = await scene.rotate();
        expect(await scene.present([1, null])).toBe('kept 1');
        expect(await scene.present([generation, null])).toBe('repeated 1');
        expect(await scene.present([3, null])).toBe('advanced 3');
        const lost = await BranchScene.of(open, kind);
        await lost.rotate();
        await lost.pastGrace();
        expect(await lost.present([0, null])).toBe('branched 1');
      });

      it('from another client is reuse where the rule says so, and a repeated request where not', async () => {
        const [mine, other] = [anyClient(), anyClient()];
        for (const clientBound of [true, false]) {
          const scene = await BranchScene.of(open, kind, { clientBound });
          const replaced = await scene.rotate(mine);
          await scene.pastGrace();
          expect(await scene.present(replaced, other)).toBe(clientBound ? 'reuse' : 'branched 1');
          if (clientBound) continue;
          expect((await scene.scene.family(kind))?.client?.equals(other)).toBe(true);
          expect(await scene.present(replaced, mine)).toBe('repeated 1');
        }
      });

      it('a second holder is caught by the next refresh of the first, once it used what it got', async () => {
        const scene = await BranchScene.of(open, kind);
        const stolen = await scene.rotate();
        const owners = await scene.current();
        await scene.pastGrace();
        expect(await scene.present(stolen)).toBe('branched 1');
        await scene.scene.use(kind);
        await scene.pastGrace();
        expect(await scene.present(owners)).toBe('reuse');
        expect(await scene.scene.bed.store.read(scene.scene.session.id)).toMatchObject({ reason: 'reuse' });
      });
    });
  }

  describe('touch with a token that was used', () => {
    it('notes it once, announces nothing, and moves the idle deadline only where that is asked for', async () => {
      const scene = await BranchScene.of(open, 'refresh');
      const { bed, session } = scene.scene;
      await scene.rotate();
      const before = await bed.store.get(session.id);
      await bed.advance(MINUTE);
      const log = await bed.record();
      const used = { kind: 'refresh', branch: (await scene.current())[1] as number } as const;
      expect(await bed.store.touch(session.id, { slide: false, used })).toBe(true);
      expect(await scene.scene.family('refresh')).toMatchObject({ inUse: true });
      expect(await bed.store.get(session.id)).toEqual(before);
      expect(await bed.store.touch(session.id, { used })).toBe(true);
      expect((await bed.store.get(session.id))?.lastAccess).toBeGreaterThan(before?.lastAccess ?? 0);
      expect(await log.all()).toEqual([]);
    });

    it('notes nothing of a token that is no longer the current one, nor of the other kind', async () => {
      const scene = await BranchScene.of(open, 'refresh');
      const { bed, session } = scene.scene;
      const [, replaced] = await scene.rotate();
      const [, current] = await scene.current();
      for (const used of [
        { kind: 'refresh', branch: replaced as number },
        { kind: 'refresh', branch: (current as number) + 1 },
        { kind: 'cookie', branch: current as number },
      ] as const) {
        expect(await bed.store.touch(session.id, { used })).toBe(true);
        expect(await scene.scene.family('refresh')).toMatchObject({ inUse: false });
      }
    });

    it('revives nothing', async () => {
      const scene = await BranchScene.of(open, 'cookie');
      const { bed, session } = scene.scene;
      await scene.rotate();
      const used = { kind: 'cookie', branch: (await scene.current())[1] as number } as const;
      await bed.store.destroy(session.id);
      expect(await bed.store.touch(session.id, { slide: false, used })).toBe(false);
      expect(await bed.store.touch('x'.repeat(32), { used })).toBe(false);
    });
  });
}
