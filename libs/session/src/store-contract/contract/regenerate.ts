// Over 300 lines because it is one chapter of the contract suite.
import type { CredentialKind } from '../../model/token-family.js';
import type { Session, SessionPatch } from '../../model/session.js';
import type { LiveSession, RegenerateOutcome, RegenerateRequest, RotateOutcome } from '../../ports/session-store.js';
import { anyClient, anyHash, expectRefusal, HOUR, MINUTE, SECOND, type OpenStore, type TestBed } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';
import { fullInput } from './full-input.js';

const WINDOW = 30 * SECOND;

/** A session with both secrets. */
class Scene {
  readonly old = { cookie: anyHash(), refresh: anyHash() };
  session!: Session;

  private constructor(readonly bed: TestBed) {}

  static async of(open: OpenStore, options: Parameters<OpenStore>[0] = {}): Promise<Scene> {
    const scene = new Scene(await open(options));
    scene.session = await scene.bed.store.create(fullInput('ada'), {
      credentials: scene.old,
      absoluteTimeout: 20 * HOUR,
    });
    await scene.bed.advance(MINUTE);
    return scene;
  }

  regenerate(request: Partial<RegenerateRequest> = {}, by = this.bed.store): Promise<RegenerateOutcome> {
    return by.regenerate(this.session.id, { credentials: {}, freshen: false, repeatableFor: WINDOW, ...request });
  }

  /** The result of presenting a secret. */
  async present(kind: CredentialKind, hash: Buffer): Promise<string> {
    const rule = { grace: WINDOW, rotateAfter: Infinity, rotateFirst: false, touch: false };
    const outcome: RotateOutcome = await this.bed.store.rotate(this.session.id, {
      ...rule,
      kind,
      presented: { hash, generation: 0 },
    });
    return outcome.state;
  }

  async read(): Promise<LiveSession> {
    return (await this.bed.store.read(this.session.id)) as LiveSession;
  }
}

export function describeRegenerate(open: OpenStore): void {
  describe('regenerate (ASVS 7.2.4)', () => {
    for (const kind of ['cookie', 'refresh'] as const) {
      const other = kind === 'cookie' ? 'refresh' : 'cookie';

      it(`${kind}: the old secret is unknown at once, with no grace; the new one gets in; the other kind keeps its own`, async () => {
        const scene = await Scene.of(open);
        const hash = anyHash();
        expect(await scene.regenerate({ credentials: { [kind]: hash } })).toMatchObject({ state: 'live' });
        expect(await scene.present(kind, scene.old[kind])).toBe('unknown');
        expect(await scene.present(kind, hash)).toBe('kept');
        expect(await scene.present(other, scene.old[other])).toBe('kept');
        expect((await scene.read()).families[kind]).toMatchObject({ generation: 0 });
        expect(await scene.bed.store.get(scene.session.id)).not.toBeNull();
      });

      it(`${kind}: a rotated secret begins again, and no token of it is mistaken for reuse afterwards`, async () => {
        const scene = await Scene.of(open);
        const client = anyClient();
        const rule = { grace: WINDOW, rotateAfter: 0, rotateFirst: true, touch: false };
        for (const n of [0, 1]) {
          const presented = { hash: scene.old[kind], generation: n, client };
          await scene.bed.advance(SECOND);
          await scene.bed.store.rotate(scene.session.id, { ...rule, kind, presented });
        }
        const hash = anyHash();
        await scene.regenerate({ credentials: { [kind]: hash } });
        expect((await scene.read()).families[kind]?.generation).toBe(0);
        for (const n of [0, 1, 2, 3]) {
          const presented = { hash: scene.old[kind], generation: n, client };
          const outcome = await scene.bed.store.rotate(scene.session.id, { ...rule, kind, presented });
          expect(outcome).toEqual({ state: 'unknown' });
        }
        expect(await scene.present(kind, hash)).toBe('kept');
      });

      it(`${kind}: the secret just replaced may regenerate once more within the window, and do nothing else`, async () => {
        const scene = await Scene.of(open);
        const presented = { kind, hash: scene.old[kind] };
        const lost = anyHash();
        const hash = anyHash();
        const first = (await scene.regenerate({ credentials: { [kind]: lost }, presented })) as LiveSession;
        await scene.bed.goJustBefore(first.now + WINDOW);
        expect(await scene.present(kind, scene.old[kind])).toBe('unknown');
        expect(await scene.regenerate({ credentials: { [kind]: hash }, presented })).toMatchObject({ state: 'live' });
        expect(await scene.present(kind, lost)).toBe('unknown');
        expect(await scene.present(kind, hash)).toBe('kept');
        // Only the secret that was replaced last is remembered.
        expect(await scene.regenerate({ credentials: { [kind]: anyHash() }, presented })).toEqual({ state: 'unknown' });
      });

      it(`${kind}: the secret just replaced may regenerate no more once the window is over`, async () => {
        const scene = await Scene.of(open);
        const presented = { kind, hash: scene.old[kind] };
        const hash = anyHash();
        const first = (await scene.regenerate({ credentials: { [kind]: hash }, presented })) as LiveSession;
        await scene.bed.goPast(first.now + WINDOW);
        expect(await scene.regenerate({ credentials: { [kind]: anyHash() }, presented })).toEqual({ state: 'unknown' });
        expect(await scene.present(kind, hash)).toBe('kept');
      });

      it(`${kind}: a presented secret that is none, or of the other kind, changes nothing`, async () => {
        const scene = await Scene.of(open);
        const log = await scene.bed.record();
        const before = await scene.read();
        for (const hash of [anyHash(), scene.old[other], Buffer.alloc(0)]) {
          const outcome = await scene.regenerate({
            credentials: { cookie: anyHash(), refresh: anyHash() },
            presented: { kind, hash },
            freshen: true,
            patch: { roles: ['admin'] },
          });
          expect(outcome).toEqual({ state: 'unknown' });
        }
        expect({ ...(await scene.read()), now: 0 }).toEqual({ ...before, now: 0 });
        expect(await log.all()).toEqual([]);
      });

      it(`${kind}: of 20 parallel regenerations by one secret without a window, exactly one wins`, async () => {
        const scene = await Scene.of(open);
        const presented = { kind, hash: scene.old[kind] };
        const instances = await scene.bed.instances(20);
        const tries = instances.map((by) => ({ by, hash: anyHash() }));
        const outcomes = await Promise.all(
          tries.map(async ({ by, hash }) => {
            const outcome = await scene.regenerate({ credentials: { [kind]: hash }, presented, repeatableFor: 0 }, by);
            return { hash, state: outcome.state };
          }),
        );
        const winners = outcomes.filter(({ state }) => state === 'live');
        expect(winners).toHaveLength(1);
        expect(outcomes.filter(({ state }) => state === 'unknown')).toHaveLength(19);
        expect(await scene.present(kind, winners[0]?.hash ?? anyHash())).toBe('kept');
      });

      it(`${kind}: of parallel regenerations within the window, the one carried out last holds, and none of the others`, async () => {
        const scene = await Scene.of(open);
        const presented = { kind, hash: scene.old[kind] };
        const instances = await scene.bed.instances(10);
        const outcomes = await Promise.all(
          instances.map(async (by) => {
            const hash = anyHash();
            return { hash, state: (await scene.regenerate({ credentials: { [kind]: hash }, presented }, by)).state };
          }),
        );
        const current = (await scene.read()).families[kind]?.hash;
        const holding = outcomes.filter(({ hash }) => current?.equals(hash));
        expect(holding.map(({ state }) => state)).toEqual(['live']);
        for (const { hash, state } of outcomes) {
          expect(['live', 'unknown']).toContain(state);
          expect(await scene.present(kind, hash)).toBe(hash === holding[0]?.hash ? 'kept' : 'unknown');
        }
        expect(await scene.present(kind, scene.old[kind])).toBe('unknown');
      });
    }

    it('kills the access tokens of the same millisecond, and those of the next live', async () => {
      const scene = await Scene.of(open);
      const { session, tokensFrom } = (await scene.regenerate()) as LiveSession;
      expect(tokensFrom).toBe(session.lastAccess + 1);
      expect((await scene.read()).tokensFrom).toBe(tokensFrom);
    });

    it('draws both secrets in one step', async () => {
      const scene = await Scene.of(open);
      const fresh = { cookie: anyHash(), refresh: anyHash() };
      await scene.regenerate({ credentials: fresh });
      const states = [];
      for (const kind of ['cookie', 'refresh'] as const) {
        states.push(await scene.present(kind, scene.old[kind]), await scene.present(kind, fresh[kind]));
      }
      expect(states).toEqual(['unknown', 'kept', 'unknown', 'kept']);
    });

    it('gives a session no secret of a kind that it had not', async () => {
      const { store } = await open();
      const cookie = anyHash();
      const { id } = await store.create({ userId: 'ada' }, { credentials: { cookie } });
      const fresh = anyHash();
      await store.regenerate(id, {
        credentials: { cookie: fresh, refresh: anyHash() },
        freshen: false,
        repeatableFor: 0,
      });
      const { families } = (await store.read(id)) as LiveSession;
      expect(families.refresh).toBeNull();
      expect(families.cookie?.hash.equals(fresh)).toBe(true);
    });

    it('kills the access tokens issued before', async () => {
      const scene = await Scene.of(open);
      const before = scene.bed.store.now();
      const outcome = (await scene.regenerate({ credentials: { cookie: anyHash() } })) as LiveSession;
      expect(outcome.tokensFrom).toBeGreaterThan(before - (scene.bed.exactTime ? 0 : SECOND));
      expect((await scene.read()).tokensFrom).toBe(outcome.tokensFrom);
      await scene.bed.advance(SECOND);
      expect(outcome.tokensFrom).toBeLessThanOrEqual(scene.bed.store.now());
    });

    it('does so for this session alone', async () => {
      const scene = await Scene.of(open);
      const other = await scene.bed.store.create({ userId: 'ada' });
      const { tokensFrom } = (await scene.bed.store.read(other.id)) as LiveSession;
      await scene.regenerate({ credentials: { cookie: anyHash() } });
      expect(((await scene.bed.store.read(other.id)) as LiveSession).tokensFrom).toBe(tokensFrom);
    });

    it('says that the user has just proved who they are when told so, and only then (ASVS 7.5.1)', async () => {
      const scene = await Scene.of(open);
      await scene.regenerate();
      expect((await scene.read()).session.authenticatedAt).toBe(scene.session.createdAt);
      const { session } = (await scene.regenerate({ freshen: true })) as LiveSession;
      expect(session.authenticatedAt).toBeGreaterThanOrEqual(scene.session.createdAt + MINUTE);
      expect((await scene.read()).session).toEqual(session);
    });

    it('keeps all else, counts as an access, and moves no absolute end', async () => {
      const scene = await Scene.of(open);
      await scene.bed.store.update(scene.session.id, { data: { list: [], n: 1 } });
      const before = await scene.bed.store.get(scene.session.id);
      const { session } = (await scene.regenerate({ credentials: { cookie: anyHash() } })) as LiveSession;
      expect(session).toEqual({ ...before, lastAccess: session.lastAccess });
      expect(session.lastAccess).toBeGreaterThanOrEqual(scene.session.createdAt + MINUTE);
    });

    it('applies a patch in the same step, by the rules of update', async () => {
      const scene = await Scene.of(open);
      const patch = {
        roles: ['admin'],
        acr: 'aal3',
        pending: false,
        data: { theme: undefined, more: 1 },
        userId: 'eve',
        id: 'x',
      };
      const { session } = (await scene.regenerate({
        credentials: { cookie: anyHash() },
        freshen: true,
        patch,
      })) as LiveSession;
      expect(session).toMatchObject({ id: scene.session.id, userId: 'ada', roles: ['admin'], acr: 'aal3' });
      expect(session.data).toEqual({ nested: scene.session.data['nested'], nothing: null, more: 1 });
      expect(session.pending === true).toBe(false);
      expect(await scene.bed.store.get(scene.session.id)).toEqual(session);
    });

    it('changes nothing at all when the patch is refused', async () => {
      const scene = await Scene.of(open, { maxRecordBytes: 3_000 });
      const before = await scene.read();
      const fresh = { credentials: { cookie: anyHash(), refresh: anyHash() }, freshen: true };
      await expectRefusal(
        scene.regenerate({ ...fresh, patch: { data: { big: 'x'.repeat(3_000) } } }),
        'session_too_large',
      );
      const wrong = { roles: 'admin' } as unknown as SessionPatch;
      await expectRefusal(scene.regenerate({ ...fresh, patch: wrong }), 'invalid_argument');
      expect({ ...(await scene.read()), now: 0 }).toEqual({ ...before, now: 0 });
    });

    it('loses no parallel update, and no parallel update undoes it', async () => {
      const scene = await Scene.of(open);
      const second = await scene.bed.second();
      for (let round = 0; round < 10; round += 1) {
        const cookie = anyHash();
        await Promise.all([
          second.update(scene.session.id, { data: { [`u${round}`]: 1 } }),
          scene.regenerate({ credentials: { cookie }, patch: { data: { [`r${round}`]: 1 }, acr: `${round}` } }),
          scene.bed.store.update(scene.session.id, { data: { [`v${round}`]: 1 } }),
        ]);
        const { session, families } = await scene.read();
        expect(session.data).toMatchObject({ [`u${round}`]: 1, [`r${round}`]: 1, [`v${round}`]: 1 });
        expect(session.acr).toBe(`${round}`);
        expect(families.cookie?.hash.equals(cookie)).toBe(true);
      }
    });

    it('revives nothing, and says why the session ended', async () => {
      const scene = await Scene.of(open);
      await scene.bed.store.destroy(scene.session.id, { reason: 'admin' });
      expect(await scene.regenerate({ credentials: { cookie: anyHash() } })).toMatchObject({
        state: 'ended',
        reason: 'admin',
      });
      expect(await scene.bed.store.get(scene.session.id)).toBeNull();
    });

    it('copies what it is given', async () => {
      const scene = await Scene.of(open);
      const cookie = anyHash();
      const kept = Buffer.from(cookie);
      await scene.regenerate({ credentials: { cookie } });
      cookie.fill(0);
      expect((await scene.read()).families.cookie?.hash.equals(kept)).toBe(true);
    });

    it('is announced once', async () => {
      const scene = await Scene.of(open);
      const log = await scene.bed.record();
      await scene.regenerate({ credentials: { cookie: anyHash() } });
      expect(await log.of('regenerated', scene.session.id)).toHaveLength(1);
    });
  });
}
