import { createHash } from 'node:crypto';
import fc from 'fast-check';
import type { CredentialKind } from '../../src/model/token-family.js';
import type { Session, SessionChange, SessionPatch } from '../../src/model/session.js';
import type { LiveSession, RotateOutcome, SessionSnapshot, SessionStore } from '../../src/ports/session-store.js';
import type { CreateStoreHarness } from '../../src/store-contract/store-harness.js';
import { HOUR, MINUTE, SECOND, TestBed, type EventLog } from '../../src/store-contract/test-bed.js';
import { histories, WAITS, type BranchPick, type Command, type DataPatch } from './store-model-commands.js';
import { StoreModel, type Known, type KnownSecret } from './store-model.js';

/** How far a store's time may run by itself during one operation, where it runs by itself. */
const DRIFT = 2 * SECOND;
const TOMBSTONE_TTL = 10 * HOUR;
const TOMBSTONES = 8;

/**
 * Random histories over several users and devices with a moving clock, against a plain model: lists, snapshots, counts,
 * and in the end all that was announced.
 *
 * `MODEL_RUNS`: how many histories. `MODEL_SEED`: a number, or `random`; a failure prints the seed and the shortest
 * history that fails.
 */
export function describeStoreModel(name: string, createHarness: CreateStoreHarness, runs = 200): void {
  const { MODEL_RUNS, MODEL_SEED } = process.env;
  const seed = MODEL_SEED === 'random' ? Date.now() : Number(MODEL_SEED ?? 20_300_101);

  describe(`${name} behaves like the model`, () => {
    it('over random histories', async () => {
      await fc.assert(
        fc.asyncProperty(histories, async (history) => {
          const harness = await createHarness({ tombstoneTtl: TOMBSTONE_TTL });
          try {
            await new Trial(new TestBed(harness)).run(history);
          } finally {
            await harness.close();
          }
        }),
        { seed, numRuns: Number(MODEL_RUNS ?? runs) },
      );
    }, 300_000);
  });
}

/** One history, carried out on the store and on the model side by side. */
class Trial {
  private readonly model = new StoreModel();
  private log!: EventLog;
  private secrets = 0;
  private expiredLeft = 0;

  constructor(private readonly bed: TestBed) {}

  async run(history: readonly Command[]): Promise<void> {
    await this.bed.second();
    this.log = await this.bed.record();
    for (const command of history) {
      await this.carryOut(command, command.second ? await this.bed.second() : this.bed.store);
      await this.stepAside();
      await this.compare();
    }
    await this.bed.advance(25 * HOUR);
    await this.bed.store.sweep();
    await this.compareEvents();
    expect(await this.bed.store.count()).toBe(0);
  }

  private get now(): number {
    return this.bed.store.now();
  }

  private async carryOut(command: Command, store: SessionStore): Promise<void> {
    const { model } = this;
    const now = this.now;
    switch (command.do) {
      case 'create':
        return this.create(command, store);
      case 'touch': {
        const known = this.pick(command.session);
        if (!known) return;
        const alive = model.fate(known, now) === null;
        const { idle, slide, used } = command;
        const secret = used && known.secrets[used.kind];
        const branch = this.branchOf(secret, used?.branch ?? 'none') ?? 0;
        const options = { idleTimeout: idle, slide, ...(used && { used: { kind: used.kind, branch } }) };
        expect(await store.touch(known.id, options)).toBe(alive);
        if (!alive) return;
        known.idle = idle ?? known.idle;
        if (slide) known.seen = await this.instantOf(now, known, (session) => session.lastAccess);
        if (secret && branch === secret.at) secret.used = true;
        return;
      }
      case 'update': {
        const known = this.pick(command.session);
        if (!known) return;
        const updating = store.update(known.id, changeOf(command.patch));
        if (model.fate(known, now) !== null) return expect(await updating).toBeNull();
        if (!(await this.completes(known, command.patch, updating, now))) return;
        apply(known, command.patch);
        return this.compareSession(await updating, known);
      }
      case 'updateUser': {
        const { user, email, roles } = command;
        const live = model.live(now, user);
        expect(await store.updateUser(user, { email, roles })).toBe(live.length);
        for (const known of live) apply(known, { email, roles });
        return;
      }
      case 'rotate':
        return this.rotate(command, store);
      case 'regenerate':
        return this.regenerate(command, store);
      case 'destroy': {
        const known = this.pick(command.session);
        if (!known) return;
        const { reason, asUser } = command;
        const allowed = asUser === undefined || asUser === known.user;
        const ends = allowed && model.close(known, reason, now);
        expect(await store.destroy(known.id, { reason, userId: asUser })).toBe(ends);
        return;
      }
      case 'destroyAll': {
        const { user, device, reason } = command;
        const except = command.except === undefined ? undefined : this.pick(command.except)?.id;
        const ending = model
          .live(now, user)
          .filter(({ id, device: on }) => id !== except && (device === undefined || on === device));
        expect(await store.destroyAll(user, { except, deviceId: device, reason })).toBe(ending.length);
        for (const known of ending) model.close(known, reason, now);
        return;
      }
      case 'destroyEverybody': {
        const limit = command.createdBefore === undefined ? undefined : this.pick(command.createdBefore)?.createdAt;
        const ending = model.live(now).filter(({ createdAt }) => limit === undefined || createdAt <= limit);
        const outcome = await store.destroyEverybody({ createdBefore: limit });
        expect(outcome).toEqual({ ended: ending.length, cursor: null });
        for (const known of ending) model.close(known, 'admin', now);
        return;
      }
      case 'revokeToken': {
        const known = this.pick(command.session);
        if (!known) return;
        const tokenId = `${known.id}.${command.token}`;
        const until = now + command.ttl;
        const alive = model.fate(known, now) === null;
        expect(await store.revokeToken(known.id, tokenId, until)).toBe(alive);
        if (alive) known.revoked[tokenId] = Math.max(until, known.revoked[tokenId] ?? 0);
        return;
      }
      case 'revokeTokens': {
        const cutoff = await store.revokeTokens(command.user);
        this.expectInstant(cutoff - 1, now);
        for (const known of model.live(now, command.user)) known.tokensFrom = Math.max(known.tokensFrom, cutoff);
        return;
      }
      case 'sweep': {
        const expired = model.all.filter((known) => !known.over && model.fate(known, now) !== null).length;
        let removed = 0;
        for (let part = 0; part < command.parts; part += 1) removed += await store.sweep({ part, of: command.parts });
        expect(removed).toBeLessThanOrEqual(expired - this.expiredLeft);
        this.expiredLeft = expired;
        expect(await store.sweep()).toBe(0);
        return;
      }
      case 'goTo': {
        const ahead = model.boundaries(now, WAITS).filter((instant) => instant > now);
        const instant = ahead[command.boundary % ahead.length];
        if (instant === undefined) return;
        const step = instant - now + (this.bed.exactTime ? command.side : 2 * DRIFT * command.side);
        if (step > 0) await this.bed.advance(step);
        return;
      }
      case 'advance':
        return this.bed.advance(command.ms);
    }
  }

  private async create(command: Extract<Command, { do: 'create' }>, store: SessionStore): Promise<void> {
    const { user, device, type, limit, idle, absolute, cap, client, roles, pending = false } = command;
    const now = this.now;
    const replaces = command.replaces === undefined ? undefined : this.pick(command.replaces)?.id;
    const expiresAt = cap === undefined ? undefined : now + cap;
    const drawn: Record<CredentialKind, string[]> = { cookie: [], refresh: [] };
    for (const kind of command.secrets) drawn[kind].push(this.drawSecret());
    const creating = store.create(
      { userId: user, deviceId: device, deviceType: type, expiresAt, roles, pending },
      {
        limit,
        idleTimeout: idle,
        absoluteTimeout: absolute,
        replaces,
        client: digest(client),
        credentials: { cookie: bufferOf(drawn.cookie[0]), refresh: bufferOf(drawn.refresh[0]) },
      },
    );
    if (cap !== undefined && cap <= 0) {
      await expect(creating).rejects.toMatchObject({ code: 'invalid_argument' });
      return;
    }
    const leaving = this.model.makeWay({ user, device, type, pending, replaces, limit }, now);
    if (!leaving) {
      await expect(creating).rejects.toMatchObject({ code: 'session_limit_reached' });
      this.model.announce('limit-reached', user);
      return;
    }
    const session = await creating;
    this.expectInstant(session.createdAt, now);
    const isNew = this.model.isNewDevice({ user, device, pending, client }, leaving, now);
    if (isNew) this.model.announce('new-device', session.id);
    for (const [known, reason] of leaving) this.model.close(known, reason, now);
    const { createdAt } = session;
    const known: Known = {
      id: session.id,
      user,
      device,
      type: type ?? (device === undefined ? undefined : 'unknown'),
      createdAt,
      idle,
      end: Math.min(createdAt + absolute, expiresAt ?? Infinity),
      seen: createdAt,
      provedAt: createdAt,
      email: '',
      roles,
      data: {},
      pending,
      admission: pending ? { limit, replaces } : null,
      tokensFrom: 0,
      revoked: {},
      secrets: {},
      drawn,
      over: null,
    };
    for (const kind of command.secrets) {
      known.secrets[kind] = { ...neverRotated(drawn[kind][0] ?? '', createdAt), client, before: null };
    }
    this.model.all.push(known);
    this.compareSession(session, known);
  }

  private async rotate(command: Extract<Command, { do: 'rotate' }>, store: SessionStore): Promise<void> {
    const known = this.pick(command.session);
    if (!known) return;
    const { kind, rule, touch, client } = command;
    const now = this.now;
    const secret = known.secrets[kind];
    const hash = this.presentedHash(known, kind, command.secret);
    const n = Math.max(0, (secret?.generation ?? 0) + command.offset);
    const branch = this.branchOf(secret, command.branch);
    const presented = { hash: bufferOf(hash), generation: n, branch, client: digest(client) };
    const outcome: RotateOutcome = await store.rotate(known.id, { ...rule, kind, presented, touch });
    if (this.model.fate(known, now) !== null) return this.compareGone(outcome as SessionSnapshot, known, now);
    const verdict = this.model.verdict(secret, { hash, generation: n, branch, client }, now, rule);
    expect(outcome.state).toBe(verdict);
    if (verdict === 'unknown' || !secret) return;
    if (verdict === 'reuse') {
      this.model.announce('reuse-detected', known.id);
      this.model.close(known, 'reuse', now);
      return;
    }
    const { generation: current, branch: at, live } = outcome as Extract<RotateOutcome, { live: LiveSession }>;
    if (verdict === 'rotated' || verdict === 'branched' || verdict === 'advanced') {
      if (verdict === 'advanced' && branch !== null) expect(at).toBe(branch);
      else this.expectBranch(at, secret, now);
      if (verdict === 'rotated') [secret.from, secret.instead] = [secret.at, null];
      if (verdict === 'branched') secret.instead = secret.at;
      if (verdict === 'advanced') [secret.from, secret.instead] = [null, n === secret.generation ? secret.at : null];
      secret.generation =
        verdict === 'rotated' ? secret.generation + 1 : verdict === 'branched' ? secret.generation : n;
      secret.client = client ?? secret.client;
      secret.at = at;
      secret.used = verdict === 'advanced';
    }
    if (verdict === 'kept') secret.used = true;
    if (verdict === 'advanced') this.model.announce('rotation-lost', known.id);
    if (kind === 'refresh') this.model.announce('refreshed', known.id);
    if (touch) known.seen = await this.instantOf(now, known, (session) => session.lastAccess);
    expect([current, at]).toEqual([secret.generation, secret.at]);
    this.compareLive(live, known);
  }

  private async regenerate(command: Extract<Command, { do: 'regenerate' }>, store: SessionStore): Promise<void> {
    const known = this.pick(command.session);
    if (!known) return;
    const { kinds, freshen, repeatableFor, presented } = command;
    const now = this.now;
    const hash = presented ? this.presentedHash(known, presented.kind, presented.secret) : '';
    const fresh: Partial<Record<CredentialKind, string>> = {};
    for (const kind of kinds) fresh[kind] = this.drawSecret();
    const regenerating = store.regenerate(known.id, {
      credentials: { cookie: bufferOf(fresh.cookie), refresh: bufferOf(fresh.refresh) },
      freshen,
      repeatableFor,
      patch: command.patch && patchOf(command.patch),
      presented: presented && { kind: presented.kind, hash: bufferOf(hash) },
    });
    if (this.model.fate(known, now) !== null) {
      return this.compareGone((await regenerating) as SessionSnapshot, known, now);
    }
    if (presented && !this.model.mayRegenerate(known.secrets[presented.kind], hash, now)) {
      return expect(await regenerating).toEqual({ state: 'unknown' });
    }
    if (!(await this.completes(known, command.patch ?? {}, regenerating, now))) return;
    const outcome = await regenerating;
    const { session, tokensFrom } = outcome as LiveSession;
    this.expectInstant(session.lastAccess, now);
    this.expectInstant(tokensFrom - 1, now);
    known.seen = session.lastAccess;
    known.tokensFrom = tokensFrom;
    if (freshen) {
      this.expectInstant(session.authenticatedAt, now);
      known.provedAt = session.authenticatedAt;
    }
    if (command.patch) apply(known, { ...command.patch, count: false });
    for (const kind of kinds) {
      const old = known.secrets[kind];
      if (!old) continue;
      const value = fresh[kind] ?? '';
      const at = (outcome as LiveSession).families[kind]?.branch ?? 0;
      this.expectBranch(at, old, now);
      const before = { hash: old.hash, until: session.lastAccess + repeatableFor };
      known.secrets[kind] = { ...neverRotated(value, at), client: old.client, before };
      known.drawn[kind].push(value);
    }
    this.model.announce('regenerated', known.id);
    this.compareLive(outcome as LiveSession, known);
  }

  /** What else a patch does that ends the wait for a further factor. False where the limit keeps the session waiting. */
  private async completes(known: Known, patch: DataPatch, writing: Promise<unknown>, now: number): Promise<boolean> {
    const { model } = this;
    if (!known.pending || patch.pending !== false || !known.admission) return true;
    const { id, user, device, type, secrets, admission } = known;
    const client = secrets.refresh?.client ?? secrets.cookie?.client ?? null;
    const leaving = model.makeWay({ id, user, device, type, pending: false, ...admission }, now);
    if (!leaving) {
      await expect(writing).rejects.toMatchObject({ code: 'session_limit_reached' });
      model.announce('limit-reached', user);
      return false;
    }
    await writing;
    if (model.isNewDevice({ id, user, device, pending: false, client }, leaving, now)) model.announce('new-device', id);
    for (const [gone, reason] of leaving) model.close(gone, reason, now);
    return true;
  }

  /** Where time runs by itself, moves away from every instant at which model and store could rightly disagree. */
  private async stepAside(): Promise<void> {
    if (this.bed.exactTime) return;
    for (;;) {
      const { now } = this;
      const near = this.model.all
        .filter(({ over }) => !over)
        .map((known) => this.model.deadline(known))
        .concat(this.model.boundaries(now, WAITS))
        .some((instant) => Math.abs(instant - now) < DRIFT);
      if (!near) return;
      await this.bed.advance(2 * DRIFT);
    }
  }

  private async compare(): Promise<void> {
    const { model, now } = this;
    const { store } = this.bed;
    for (const user of new Set(model.all.map((known) => known.user))) {
      const listed = await store.getActiveSessions(user);
      const live = model.live(now, user);
      expect(listed.map(({ id }) => id).sort()).toEqual(live.map(({ id }) => id).sort());
      const seen = listed.map(({ lastAccess }) => lastAccess);
      expect(seen).toEqual([...seen].sort((a, b) => b - a));
      for (const known of live) this.compareSession(listed.find(({ id }) => id === known.id) ?? null, known);
      for (const device of new Set(live.map((known) => known.device))) {
        if (device === undefined) continue;
        const there = live.filter((known) => known.device === device);
        const full = there.filter(({ pending }) => !pending);
        const on = full.length > 0 ? full : there;
        expect(on.map(({ id }) => id)).toContain((await store.findByDevice(user, device))?.id);
      }
    }
    await Promise.all(
      model.all.map(async (known) => {
        const tokenId = `${known.id}.1`;
        const snapshot = await store.read(known.id, { tokenId });
        if (model.fate(known, now) !== null) return this.compareGone(snapshot, known, now);
        this.compareLive(snapshot, known);
        const until = known.revoked[tokenId];
        const { tokenRevoked } = snapshot as LiveSession;
        if (until === undefined || until > now) expect(tokenRevoked).toBe(until !== undefined);
      }),
    );
    expect(await store.count()).toBe(model.live(now).length);
  }

  private compareLive(snapshot: SessionSnapshot, known: Known): void {
    expect(snapshot.state).toBe('live');
    const { session, families, tokensFrom } = snapshot as LiveSession;
    this.compareSession(session, known);
    for (const kind of ['cookie', 'refresh'] as const) {
      const secret: KnownSecret | undefined = known.secrets[kind];
      const family = families[kind];
      expect(
        family && {
          hash: family.hash.toString('hex'),
          generation: family.generation,
          at: family.branch,
          from: family.parentBranch,
          instead: family.replacedBranch,
          used: family.inUse,
        },
      ).toEqual(secret ? withoutClient(secret) : null);
    }
    expect(tokensFrom).toBeGreaterThanOrEqual(known.tokensFrom);
    // A cutoff of before the sign-in may still be there; it reaches no token of this session.
    if (tokensFrom > known.tokensFrom) expect(tokensFrom).toBeLessThanOrEqual(known.createdAt + 1);
  }

  private compareSession(session: Session | null, known: Known): void {
    expect(session).toEqual({
      id: known.id,
      userId: known.user,
      email: known.email,
      roles: known.roles,
      data: known.data,
      createdAt: known.createdAt,
      lastAccess: known.seen,
      expiresAt: known.end,
      idleTimeout: known.idle,
      authenticatedAt: known.provedAt,
      ...(known.device === undefined ? {} : { deviceId: known.device }),
      ...(known.type === undefined ? {} : { deviceType: known.type }),
      ...(known.pending ? { pending: true } : {}),
    });
  }

  private compareGone(snapshot: SessionSnapshot, known: Known, now: number): void {
    const gone = this.model.all.filter((other) => other.user === known.user && this.model.fate(other, now) !== null);
    const endedAt = known.over?.at ?? this.model.deadline(known);
    const remembered = gone.length <= TOMBSTONES && now - endedAt < TOMBSTONE_TTL - MINUTE;
    if (!remembered && snapshot.state === 'absent') return;
    expect(snapshot).toMatchObject({ state: 'ended', reason: this.model.fate(known, now) });
  }

  private async compareEvents(): Promise<void> {
    const { model } = this;
    const expected = [...model.announced].flatMap(([what, times]) => Array<string>(times).fill(what));
    for (const known of model.all) {
      expected.push(`created ${known.id}`, `ended ${known.id} ${model.fate(known, this.now)}`);
    }
    const heard = (await this.log.all()).flatMap((event) => {
      if (event.type === 'changed') return [];
      if (event.type === 'limit-reached') return [`limit-reached ${event.userId}`];
      return [`${event.type} ${event.sessionId}${event.type === 'ended' ? ` ${event.reason}` : ''}`];
    });
    expect(heard.sort()).toEqual(expected.sort());
  }

  private pick(number: number): Known | undefined {
    const live = this.model.live(this.now);
    if (number % 2 === 1 && live.length > 0) return live.at(-1);
    const among = number % 4 === 2 && live.length > 0 ? live : this.model.all;
    return among[Math.floor(number / 4) % among.length];
  }

  private drawSecret(): string {
    this.secrets += 1;
    return createHash('sha256').update(`secret ${this.secrets}`).digest('hex');
  }

  private presentedHash(known: Known, kind: CredentialKind, back: number): string {
    return back < 0 ? this.drawSecret() : (known.drawn[kind].at(-1 - back) ?? this.drawSecret());
  }

  private branchOf(secret: KnownSecret | undefined, pick: BranchPick): number | null {
    if (!secret) return null;
    if (pick === 'own') return secret.at;
    if (pick === 'from') return secret.from;
    if (pick === 'instead') return secret.instead;
    if (pick === 'none') return null;
    return pick === 'later' ? secret.at + SECOND : (secret.from ?? secret.at) - 7;
  }

  /** Now, or just after the latest of the family. */
  private expectBranch(branch: number, { at }: KnownSecret, now: number): void {
    expect(branch).toBeGreaterThan(at);
    if (branch !== at + 1) this.expectInstant(branch, now);
  }

  /** What the store says an instant was, once it is known to be right. */
  private async instantOf(
    now: number,
    known: Known,
    which: (session: Session, live: LiveSession) => number | undefined,
  ): Promise<number> {
    const live = (await this.bed.store.read(known.id)) as LiveSession;
    expect(live.state).toBe('live');
    const instant = which(live.session, live) ?? NaN;
    this.expectInstant(instant, now);
    return instant;
  }

  private expectInstant(instant: number, now: number): void {
    if (this.bed.exactTime) expect(instant).toBe(now);
    else expect(Math.abs(instant - now)).toBeLessThan(DRIFT);
  }
}

function neverRotated(hash: string, at: number): Omit<KnownSecret, 'client' | 'before'> {
  return { hash, generation: 0, at, from: null, instead: null, used: true };
}

function withoutClient({ client: _client, before: _before, ...secret }: KnownSecret): object {
  return secret;
}

function patchOf({ set, remove, email, roles, pending }: DataPatch): SessionPatch {
  const data = { ...set, ...(remove === undefined ? {} : { [remove]: undefined }) };
  return { email, roles, pending, ...(set !== undefined || remove !== undefined ? { data } : {}) };
}

function changeOf(patch: DataPatch): SessionChange {
  if (patch.count !== true) return patchOf(patch);
  return ({ data }) => {
    const plain = patchOf(patch);
    return { ...plain, data: { n: Number(data['n'] ?? 0) + 1, ...plain.data } };
  };
}

function apply(known: Known, { set = {}, remove, count, email, roles, pending }: DataPatch): void {
  if (count === true) known.data['n'] = (known.data['n'] ?? 0) + 1;
  Object.assign(known.data, set);
  if (remove !== undefined)
    known.data = Object.fromEntries(Object.entries(known.data).filter(([key]) => key !== remove));
  if (email !== undefined) known.email = email;
  if (roles !== undefined) known.roles = roles;
  if (pending === false) known.admission = null;
  if (pending !== undefined) known.pending = pending;
}

function bufferOf(hex: string): Buffer;
function bufferOf(hex: string | undefined): Buffer | undefined;
function bufferOf(hex: string | undefined): Buffer | undefined {
  return hex === undefined ? undefined : Buffer.from(hex, 'hex');
}

function digest(client: string | null): Buffer | null {
  return client === null ? null : createHash('sha256').update(client).digest().subarray(0, 8);
}
