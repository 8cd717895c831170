import fc from 'fast-check';
import { createSessionCore, type SessionCore } from '../../src/core/session-core.js';
import { SessionError } from '../../src/model/errors.js';
import type { CredentialKind } from '../../src/model/token-family.js';
import { resolveSessionOptions } from '../../src/options/resolve-options.js';
import type { ReuseDetection } from '../../src/model/token-family.js';
import type { CreateStoreHarness } from '../../src/store-contract/store-harness.js';
import { HOUR, MINUTE, SECOND, storeOpener, type TestBed } from '../../src/store-contract/test-bed.js';

const GRACE = 30 * SECOND;
/** Past the grace window, and past the age at which a cookie rotates. */
const LATER = 2 * MINUTE;

/** What a client holds: a token, and where it is a refresh token the access token that came with it. */
interface Held {
  token: string;
  accessToken?: string;
}

/** A session and its two ways in, on two instances in turn. */
class World {
  private turn = 0;

  private constructor(
    readonly bed: TestBed,
    private readonly cores: readonly [SessionCore, SessionCore],
    private readonly kind: CredentialKind,
    readonly first: Held,
    readonly sessionId: string,
  ) {}

  static async of(bed: TestBed, cores: readonly [SessionCore, SessionCore], kind: CredentialKind): Promise<World> {
    const { session, cookieToken, refreshToken } = await cores[0].sessions.start(
      { userId: `user-${Math.random()}` },
      { credentials: [kind] },
    );
    return new World(bed, cores, kind, { token: cookieToken ?? refreshToken ?? '' }, session.id);
  }

  /** What the server answers to a token: what the client is to hold from then on. */
  async present({ token }: Held): Promise<Held> {
    const core = this.next();
    if (this.kind === 'refresh') {
      const { refreshToken, accessToken } = await core.tokens.refresh(token);
      return { token: refreshToken, accessToken };
    }
    const { cookieToken } = await core.sessions.authenticate(token);
    await core.toucher.settle();
    return { token: cookieToken ?? token };
  }

  /** A request with what the client holds: with a cookie, the same as presenting it. */
  async use(held: Held): Promise<Held> {
    if (this.kind === 'cookie') return this.present(held);
    if (held.accessToken !== undefined) {
      const core = this.next();
      await core.tokens.verify(held.accessToken);
      await core.toucher.settle();
    }
    return held;
  }

  async isLive(): Promise<boolean> {
    return (await this.bed.store.read(this.sessionId)).state === 'live';
  }

  /** Whether the token is the one that the store has as its current one, in use. */
  async isCurrentInUse({ token }: Held): Promise<boolean> {
    const live = await this.bed.store.read(this.sessionId);
    const family = live.state === 'live' ? live.families[this.kind] : null;
    const credential = this.cores[0].codec.parse(token, this.kind);
    return family?.inUse === true && family.branch === credential?.branch && family.generation > 0;
  }

  private next(): SessionCore {
    this.turn += 1;
    return this.cores[this.turn % 2 ? 1 : 0];
  }
}

const arrival = fc.constantFrom('arrives', 'arrives', 'lost', 'late', 'late after the next', 'doubled');
const honestStep = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('present' as const), answer: arrival }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('use' as const) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(1, SECOND, GRACE - 5 * SECOND, GRACE + SECOND, LATER, 10 * MINUTE),
    }),
  },
);
const contestStep = fc.record({
  who: fc.constantFrom('owner' as const, 'thief' as const),
  does: fc.constantFrom('present' as const, 'present, lost' as const, 'use' as const),
});

/**
 * A replaced token stays good until its successor was used. Whatever is lost, late or doubled on the way of one client, it is
 * never signed out for asking again; and of two who hold copies, one is found out at the other's next turn.
 */
export function describeReuseDetection(name: string, createHarness: CreateStoreHarness, runs: number): void {
  describe.each<[CredentialKind, ReuseDetection]>([
    ['refresh', 'after-use'],
    ['cookie', 'after-use'],
    ['refresh', 'after-grace'],
    ['cookie', 'after-grace'],
  ])(`${name}: reuse of a %s token under %s`, (kind, reuseDetection) => {
    const open = storeOpener(createHarness);
    const afterUse = reuseDetection === 'after-use';
    const options = resolveSessionOptions({
      reuseDetection,
      jwt: { issuer: 'https://issuer.example', audience: 'api', refreshGrace: GRACE, accessTokenTtl: '20h' },
      session: { idleTimeout: '20h', absoluteTimeout: '30d', rotationInterval: '1m' },
    });

    async function opened(): Promise<() => Promise<World>> {
      const bed = await open({ idleTimeout: 20 * HOUR });
      const cores: [SessionCore, SessionCore] = [
        await createSessionCore(options, { store: bed.store }),
        await createSessionCore(options, { store: await bed.second() }),
      ];
      return () => World.of(bed, cores, kind);
    }

    it('one client: asking again signs nobody out, whatever answers were lost, late or doubled', async () => {
      const start = await opened();
      await fc.assert(
        fc.asyncProperty(fc.array(honestStep, { minLength: 3, maxLength: 25 }), async (steps) => {
          const world = await start();
          let held = world.first;
          let late: Held | null = null;
          // Under after-grace a client must ask again in time.
          let asking = false;
          for (const step of steps) {
            if (step.do === 'wait') {
              if (afterUse || !asking) await world.bed.advance(step.ms);
            } else if (step.do === 'use') {
              held = await world.use(held);
              late = null;
              asking &&= kind === 'refresh';
            } else {
              const answers = [await world.present(held)];
              if (step.answer === 'doubled') answers.push(await world.present(held));
              const answer = answers.at(-1) as Held;
              asking = step.answer !== 'arrives' && step.answer !== 'doubled';
              if (step.answer === 'late after the next') {
                late = answer;
              } else if (step.answer !== 'lost') {
                // An answer that was overtaken arrives last, and is what the client holds then.
                held = late ?? answer;
                late = null;
              } else {
                // What was late is lost for good: two newer tokens may have been handed out since.
                late = null;
              }
            }
            expect(await world.isLive()).toBe(true);
          }
        }),
        { numRuns: runs, endOnFailure: true, seed: 20_300_102 },
      );
    });

    it('two holders: the first is refused at its next refresh, and both cannot continue', async () => {
      const start = await opened();
      let caught = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.nat(3),
          fc.boolean(),
          fc.array(contestStep, { maxLength: 8 }),
          async (rotations, copiesReplaced, steps) => {
            const world = await start();
            const holds = { owner: world.first, thief: world.first };
            for (let count = 0; count <= rotations; count += 1) {
              const before = holds.owner;
              await world.bed.advance(LATER);
              holds.owner = await world.present(holds.owner);
              holds.thief = copiesReplaced ? before : holds.owner;
            }
            const cycle = (['owner', 'thief'] as const).flatMap((who) => [
              { who, does: 'present' as const },
              { who, does: 'use' as const },
            ]);
            const ends = async ({ who, does }: (typeof steps)[number]): Promise<boolean> => {
              const other = who === 'owner' ? 'thief' : 'owner';
              const othersIsUsed =
                holds.owner.token !== holds.thief.token && (await world.isCurrentInUse(holds[other]));
              if (does !== 'use') await world.bed.advance(LATER);
              try {
                const answer = does === 'use' ? await world.use(holds[who]) : await world.present(holds[who]);
                if (does !== 'present, lost') holds[who] = answer;
              } catch (error) {
                if (!(error instanceof SessionError)) throw error;
                return true;
              }
              // Anyone who comes second, after the other used a successor of its own, must not get through.
              if (does !== 'use') expect(othersIsUsed).toBe(false);
              return false;
            };
            for (const step of [...steps, ...cycle, ...cycle]) {
              if (!(await ends(step))) continue;
              expect(await world.bed.store.read(world.sessionId)).toMatchObject({ state: 'ended', reason: 'reuse' });
              caught += 1;
              return;
            }
            throw new Error('two holders went on side by side');
          },
        ),
        { numRuns: runs, endOnFailure: true, seed: 20_300_103 },
      );
      expect(caught).toBe(runs);
    });
  });
}
