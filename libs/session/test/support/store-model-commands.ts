import fc from 'fast-check';
import { END_REASONS, type DeviceType, type EndReason } from '../../src/model/session.js';
import type { CredentialKind } from '../../src/model/token-family.js';
import { HOUR, MINUTE, SECOND } from '../../src/store-contract/test-bed.js';
import type { ModelLimit, ModelRule } from './store-model.js';

/** A number that picks a session: often the latest that lives, so that histories dwell on one; see `pick` of the trial. */
type Pick = number;

/** Which instant a token names: of the current one, of the one before, of the one replaced last, none, or some other. */
export type BranchPick = 'own' | 'from' | 'instead' | 'none' | 'earlier' | 'later';

export interface DataPatch {
  set?: Record<string, number>;
  remove?: string;
  /** Adds one, by a function of the session. */
  count?: boolean;
  email?: string;
  roles?: string[];
  pending?: boolean;
}

export type Command = { second: boolean } & (
  | {
      do: 'create';
      user: string;
      device?: string;
      type?: DeviceType;
      limit: ModelLimit;
      idle: number;
      absolute: number;
      /** Relative to now. */
      cap?: number;
      replaces?: Pick;
      secrets: CredentialKind[];
      client: string | null;
      roles: string[];
      pending?: boolean;
    }
  | { do: 'touch'; session: Pick; idle?: number; slide: boolean; used?: { kind: CredentialKind; branch: BranchPick } }
  | { do: 'update'; session: Pick; patch: DataPatch }
  | { do: 'updateUser'; user: string; email?: string; roles?: string[] }
  | {
      do: 'rotate';
      session: Pick;
      kind: CredentialKind;
      /** Relative to the current number. */
      offset: number;
      branch: BranchPick;
      /** 0: the current secret, 1: the one drawn before it, …; -1: one that never was. */
      secret: number;
      client: string | null;
      rule: ModelRule;
      touch: boolean;
    }
  | {
      do: 'regenerate';
      session: Pick;
      kinds: CredentialKind[];
      freshen: boolean;
      patch?: DataPatch;
      presented?: { kind: CredentialKind; secret: number };
      repeatableFor: number;
    }
  | { do: 'destroy'; session: Pick; reason: EndReason; asUser?: string }
  | { do: 'destroyAll'; user: string; except?: Pick; device?: string; reason: EndReason }
  | { do: 'destroyEverybody'; createdBefore?: Pick }
  | { do: 'revokeToken'; session: Pick; token: string; ttl: number }
  | { do: 'revokeTokens'; user: string }
  | { do: 'sweep'; parts: number }
  /** To some boundary, and a bit before or after it. */
  | { do: 'goTo'; boundary: number; side: -1 | 0 | 1 }
  | { do: 'advance'; ms: number }
);

/** Grace windows and rotation intervals that are used: their ends are boundaries. */
export const WAITS: readonly number[] = [0, 30 * SECOND, 10 * MINUTE];

const second = fc.boolean();
const pick = fc.nat(99);
const user = fc.constantFrom('ada', 'bob', 'a:b*{c}');
const device = fc.constantFrom('phone', 'laptop', 'tv');
const kind = fc.constantFrom<CredentialKind>('refresh', 'refresh', 'cookie');
const kinds = fc.subarray<CredentialKind>(['cookie', 'refresh']);
const client = fc.constantFrom(null, 'client-1', 'client-2');
const roles = fc.subarray(['user', 'admin', 'auditor']);
const email = fc.constantFrom('a@example.com', 'b@example.com');
const reason = fc.constantFrom(...END_REASONS);
const secret = fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 1, 1, 2, -1);

/** Leaves out what is undefined, so that a printed history is short. */
function record<T extends object>(shape: Partial<Record<keyof T, fc.Arbitrary<unknown>>>): fc.Arbitrary<T> {
  return fc
    .record(shape as Record<string, fc.Arbitrary<unknown>>)
    .map((value) => Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as T);
}

function maybe<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { nil: undefined });
}

const patch = record<DataPatch>({
  set: maybe(fc.dictionary(fc.constantFrom('x', 'y'), fc.nat(9), { maxKeys: 2 })),
  remove: maybe(fc.constantFrom('x', 'y', 'n')),
  count: fc.boolean(),
  email: maybe(email),
  roles: maybe(roles),
  pending: fc.constantFrom(undefined, undefined, false, false, true),
});

const limit = record<ModelLimit>({
  max: fc.constantFrom(1, 2, 3, 3, 4, 8),
  maxOfType: maybe(fc.constantFrom(1, 2)),
  onLimit: fc.constantFrom('evict-least-recent', 'evict-oldest', 'reject'),
});

type Of<D extends Command['do']> = Extract<Command, { do: D }>;

function of<D extends Command['do']>(
  name: D,
  shape: Partial<Record<keyof Of<D>, fc.Arbitrary<unknown>>>,
): fc.Arbitrary<Command> {
  return record<Command>({ do: fc.constant(name), second, ...shape });
}

const create = of('create', {
  user,
  device: maybe(device),
  type: maybe(fc.constantFrom('mobile', 'desktop', 'unknown')),
  limit,
  idle: fc.constantFrom(2 * MINUTE, 10 * MINUTE, HOUR),
  absolute: fc.constantFrom(5 * MINUTE, 30 * MINUTE, 24 * HOUR),
  cap: fc.constantFrom(undefined, undefined, undefined, -MINUTE, 4 * MINUTE, 100 * HOUR),
  replaces: maybe(pick),
  secrets: fc.constantFrom<CredentialKind[]>(['cookie', 'refresh'], ['cookie', 'refresh'], ['refresh'], []),
  client,
  roles,
  pending: fc.constantFrom(undefined, undefined, true),
});

/** A history: what is done to the store, one thing after the other. */
export const histories: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: create },
    {
      weight: 4,
      arbitrary: of('touch', {
        session: pick,
        idle: fc.constantFrom(undefined, undefined, 3 * MINUTE, HOUR),
        slide: fc.constantFrom(true, true, false),
        used: maybe(fc.record({ kind, branch: fc.constantFrom<BranchPick>('own', 'own', 'own', 'instead', 'later') })),
      }),
    },
    { weight: 4, arbitrary: of('update', { session: pick, patch }) },
    { weight: 2, arbitrary: of('updateUser', { user, email: maybe(email), roles: maybe(roles) }) },
    {
      weight: 16,
      arbitrary: of('rotate', {
        session: pick,
        kind,
        offset: fc.constantFrom(0, 0, 0, 0, 0, -1, -1, -1, -2, 1, 3),
        branch: fc.constantFrom<BranchPick>('own', 'own', 'own', 'from', 'from', 'instead', 'none', 'earlier', 'later'),
        secret,
        client,
        rule: fc.record({
          grace: fc.constantFrom(0, 30 * SECOND),
          rotateAfter: fc.constantFrom(0, 30 * SECOND, 10 * MINUTE, Infinity),
          rotateFirst: fc.boolean(),
          reuseDetection: fc.constantFrom('after-use', 'after-use', 'after-grace'),
          clientBound: fc.boolean(),
        }),
        touch: fc.boolean(),
      }),
    },
    {
      weight: 4,
      arbitrary: of('regenerate', {
        session: pick,
        kinds,
        freshen: fc.boolean(),
        patch: maybe(patch),
        presented: maybe(fc.record({ kind, secret })),
        repeatableFor: fc.constantFrom(0, 30 * SECOND),
      }),
    },
    { weight: 2, arbitrary: of('destroy', { session: pick, reason, asUser: maybe(user) }) },
    { weight: 1, arbitrary: of('destroyAll', { user, except: maybe(pick), device: maybe(device), reason }) },
    { weight: 1, arbitrary: of('destroyEverybody', { createdBefore: maybe(pick) }) },
    {
      weight: 2,
      arbitrary: of('revokeToken', {
        session: pick,
        token: fc.constantFrom('1', '2'),
        ttl: fc.constantFrom(-MINUTE, MINUTE, HOUR),
      }),
    },
    { weight: 1, arbitrary: of('revokeTokens', { user }) },
    { weight: 1, arbitrary: of('sweep', { parts: fc.constantFrom(1, 3) }) },
    { weight: 6, arbitrary: of('goTo', { boundary: fc.nat(99), side: fc.constantFrom(-1, 0, 1) }) },
    { weight: 3, arbitrary: of('advance', { ms: fc.constantFrom(1, SECOND, MINUTE, 4 * MINUTE) }) },
  ),
  { maxLength: 60, size: 'max' },
);
