// Over 300 lines because each script has one method, the only place that knows the order of its arguments and replies.
import { randomBytes } from 'node:crypto';
import { InvalidArgumentError, StoreUnavailableError, endedError, outdatedSignIn } from '../model/errors.js';
import type { SessionEvent } from '../model/events.js';
import { deviceHashOf, isSessionId, sidOf, userKeyOfSession } from '../model/ids.js';
import type { SessionLimit } from '../model/limit.js';
import type { StandingChange } from '../model/record.js';
import { DEVICE_TYPES, END_REASONS, type DeviceType, type EndReason } from '../model/session.js';
import type { ProveRequest, RegenerateRequest, RotateRequest, TouchOptions } from '../ports/session-store.js';
import type { StoreWait } from '../ports/store-wait.js';
import type { UserKeys } from './keys.js';
import { scripts } from './lua/scripts.generated.js';
import { DEVICE_BYTES, REVISION_BYTES } from './packed.js';
import type { SENT_AT, ScriptReply, ScriptRunner } from './script-runner.js';
import { fieldsOf, type FieldValue } from './user-record.js';

/** Values of the hash that a script returned, with the server's time at that moment. */
export interface ScriptSnapshot {
  readonly now: number;
  readonly values: readonly FieldValue[];
}

export interface CreateArguments {
  readonly userId: string;
  readonly sid: string;
  readonly record: string;
  readonly deviceId: string | undefined;
  readonly deviceType: DeviceType | undefined;
  /** Why the session does not count towards the limits; null if it does. */
  readonly uncounted: 'actor' | 'pending' | null;
  readonly idleTimeout: number;
  readonly absoluteTimeout: number;
  readonly expiresAt: number | null;
  readonly limit: SessionLimit;
  readonly replaces: string;
  readonly cookie: Buffer | undefined;
  readonly refresh: Buffer | undefined;
  readonly client: Buffer | null | undefined;
  readonly verifiedAt: number | null;
}

export interface WriteArguments {
  readonly sid: string;
  readonly record: string;
  /** Revision the record was computed from. */
  readonly from: string;
  /** Number of the profile the record was computed with, if it sets email or roles; otherwise null. */
  readonly profileSeq: number | null;
  /** The effect of the write on the limits. */
  readonly standing: StandingChange | null;
}

/** A sign-in that the limit refuses, with the user's whole hash. */
export interface ReachedLimit {
  readonly state: 'limit';
  readonly now: number;
  readonly fields: ReadonlyMap<string, Buffer>;
}

export interface EndArguments {
  readonly userId?: string | undefined;
  readonly reason: EndReason;
  /** Later sessions are spared. */
  readonly createdBefore?: number | typeof SENT_AT | undefined;
  readonly exceptSid?: string | undefined;
  readonly deviceId?: string | undefined;
  /** Sign-ins whose proof was verified earlier are refused from now on. */
  readonly verifiedFrom?: number | undefined;
  readonly sids?: readonly string[];
}

const SECRET_HASH_BYTES = 32;
const CLIENT_BYTES = 8;
const OPERATION_BYTES = 8;
/** Flags of a clock. */
const UNCOUNTED = 1;
const PENDING = 2;
const KIND_NUMBER = { cookie: 1, refresh: 2 } as const;
const POLICY = { 'evict-least-recent': 'recent', 'evict-oldest': 'oldest', reject: 'reject' } as const;

/**
 * One typed method per script: orders the arguments and reads the reply's code. The documentation is in the scripts.
 */
export class RedisScripts {
  constructor(private readonly runner: ScriptRunner) {}

  async createSession(
    keys: UserKeys,
    args: CreateArguments,
    wait?: StoreWait,
  ): Promise<({ state: 'created' } & ScriptSnapshot) | ReachedLimit> {
    const { limit } = args;
    const reply = await this.runner.run(
      scripts.createSession,
      keys,
      [
        keys.userKey,
        args.userId,
        args.sid,
        args.record,
        randomBytes(REVISION_BYTES),
        DEVICE_TYPES.indexOf(args.deviceType ?? 'unknown'),
        args.uncounted === 'pending' ? PENDING : args.uncounted ? UNCOUNTED : 0,
        deviceDigest(args.deviceId),
        args.idleTimeout,
        args.absoluteTimeout,
        args.expiresAt ?? '',
        limit.max,
        limit.maxOfType ?? '',
        POLICY[limit.onLimit],
        args.replaces,
        bytes('credentials.cookie', args.cookie, SECRET_HASH_BYTES),
        bytes('credentials.refresh', args.refresh, SECRET_HASH_BYTES),
        bytes('client', args.client, CLIENT_BYTES),
        args.verifiedAt ?? '',
      ],
      wait,
    );
    switch (reply.code) {
      case 'created':
        return { state: 'created', ...snapshotIn(reply) };
      case 'limit':
        return reachedIn(reply);
      case 'ended':
        throw endedError(text(reply.values[0]) as EndReason);
      case 'outdated':
        throw outdatedSignIn();
      case 'past':
        throw new InvalidArgumentError('expiresAt', 'must lie in the future');
      default:
        throw unexpected('createSession', reply.code);
    }
  }

  async touchSession(
    keys: UserKeys,
    sid: string,
    { idleTimeout, slide = true, used }: TouchOptions = {},
    wait?: StoreWait,
  ): Promise<boolean> {
    const { code } = await this.runner.run(
      scripts.touchSession,
      keys,
      [keys.userKey, sid, idleTimeout ?? '', slide ? 1 : 0, used ? KIND_NUMBER[used.kind] : '', used?.branch ?? ''],
      wait,
    );
    return code === 'touched';
  }

  /** Records an access of the instant `at` that could not be recorded at that time. */
  async recordAccess(keys: UserKeys, sid: string, at: number, wait?: StoreWait): Promise<void> {
    await this.runner.run(scripts.recordAccess, keys, [keys.userKey, sid, at], wait);
  }

  async updateSession(
    keys: UserKeys,
    args: WriteArguments,
    wait?: StoreWait,
  ): Promise<({ state: 'updated' | 'conflict' } & ScriptSnapshot) | ReachedLimit | { state: 'absent' }> {
    const reply = await this.runner.run(
      scripts.updateSession,
      keys,
      [
        keys.userKey,
        args.sid,
        args.record,
        Buffer.from(args.from, 'base64url'),
        operation(),
        args.profileSeq ?? '',
        ...standingArguments(keys, args.standing),
      ],
      wait,
    );
    if (reply.code === 'absent' || reply.code === 'foreign') return { state: 'absent' };
    if (reply.code === 'limit') return reachedIn(reply);
    if (reply.code === 'updated' || reply.code === 'conflict') return { state: reply.code, ...snapshotIn(reply) };
    throw unexpected('updateSession', reply.code);
  }

  async updateUser(
    keys: UserKeys,
    userId: string,
    patch: { email: string | null; roles: readonly string[] | null },
  ): Promise<number> {
    const { code, values } = await this.runner.run(scripts.updateUser, keys, [
      keys.userKey,
      userId,
      patch.email === null ? 0 : 1,
      patch.email ?? '',
      patch.roles === null ? 0 : 1,
      patch.roles === null ? '' : JSON.stringify(patch.roles),
      operation(),
    ]);
    return code === 'updated' ? Number(values[0]) : 0;
  }

  async rotateCredential(
    keys: UserKeys,
    sid: string,
    request: RotateRequest,
    wait?: StoreWait,
  ): Promise<
    | ({ state: 'rotated' | 'kept' | 'repeated' | 'branched' | 'advanced' } & ScriptSnapshot)
    | ({ state: 'absent' } & ScriptSnapshot)
    | { state: 'unknown' }
    | { state: 'reuse' }
  > {
    const { presented } = request;
    const reply = await this.runner.run(
      scripts.rotateCredential,
      keys,
      [
        keys.userKey,
        sid,
        KIND_NUMBER[request.kind],
        presented.hash,
        presented.generation,
        presented.branch ?? '',
        bytes('client', presented.client, CLIENT_BYTES),
        request.grace,
        Number.isFinite(request.rotateAfter) ? request.rotateAfter : '',
        request.rotateFirst ? 1 : 0,
        request.reuseDetection === 'after-grace' ? 0 : 1,
        request.clientBound === false ? 0 : 1,
        request.touch ? 1 : 0,
        operation(),
      ],
      wait,
    );
    switch (reply.code) {
      case 'rotated':
      case 'kept':
      case 'repeated':
      case 'branched':
      case 'advanced':
      case 'absent':
        return { state: reply.code, ...snapshotIn(reply) };
      case 'foreign':
        return NOT_OURS;
      case 'unknown':
      case 'reuse':
        return { state: reply.code };
      default:
        throw unexpected('rotateCredential', reply.code);
    }
  }

  async regenerateSession(
    keys: UserKeys,
    write: Omit<WriteArguments, 'record'> & { record: string | null },
    request: RegenerateRequest,
    wait?: StoreWait,
  ): Promise<
    ({ state: 'regenerated' | 'conflict' | 'absent' } & ScriptSnapshot) | ReachedLimit | { state: 'unknown' }
  > {
    const { presented, credentials } = request;
    const reply = await this.runner.run(
      scripts.regenerateSession,
      keys,
      [
        keys.userKey,
        write.sid,
        write.record ?? '',
        Buffer.from(write.from, 'base64url'),
        operation(),
        write.profileSeq ?? '',
        presented ? KIND_NUMBER[presented.kind] : '',
        presented?.hash ?? '',
        bytes('credentials.cookie', credentials.cookie, SECRET_HASH_BYTES),
        bytes('credentials.refresh', credentials.refresh, SECRET_HASH_BYTES),
        request.freshen ? 1 : 0,
        request.repeatableFor,
        ...standingArguments(keys, write.standing),
      ],
      wait,
    );
    if (reply.code === 'limit') return reachedIn(reply);
    if (reply.code === 'unknown') return { state: 'unknown' };
    if (reply.code === 'foreign') return NOT_OURS;
    if (reply.code === 'regenerated' || reply.code === 'conflict' || reply.code === 'absent') {
      return { state: reply.code, ...snapshotIn(reply) };
    }
    throw unexpected('regenerateSession', reply.code);
  }

  async bindDevice(
    keys: UserKeys,
    sid: string,
    { key, challengedAt }: { key: string; challengedAt: number },
    wait?: StoreWait,
  ): Promise<({ state: 'bound' | 'absent' } & ScriptSnapshot) | { state: 'refused' }> {
    const reply = await this.runner.run(
      scripts.bindDevice,
      keys,
      [keys.userKey, sid, key, challengedAt, operation()],
      wait,
    );
    if (reply.code === 'refused') return { state: 'refused' };
    if (reply.code === 'foreign') return NOT_OURS;
    if (reply.code === 'bound' || reply.code === 'absent') return { state: reply.code, ...snapshotIn(reply) };
    throw unexpected('bindDevice', reply.code);
  }

  async proveDevice(
    keys: UserKeys,
    sid: string,
    { thumbprint, challengedAt, wait }: ProveRequest,
  ): Promise<{ state: 'proven' | 'spent' | 'refused' } | ({ state: 'absent' } & ScriptSnapshot)> {
    const reply = await this.runner.run(scripts.proveDevice, keys, [sid, thumbprint, challengedAt, operation()], wait);
    if (reply.code === 'foreign') return NOT_OURS;
    if (reply.code === 'absent') return { state: 'absent', ...snapshotIn(reply) };
    if (reply.code === 'proven' || reply.code === 'spent' || reply.code === 'refused') return { state: reply.code };
    throw unexpected('proveDevice', reply.code);
  }

  async endSessions(
    keys: UserKeys,
    args: EndArguments,
    wait?: StoreWait,
  ): Promise<{ ended: number; verifiedFrom: number }> {
    // The script would find out only after the delete.
    if (!END_REASONS.includes(args.reason))
      throw new InvalidArgumentError('reason', `must be one of ${END_REASONS.join(', ')}`);
    const { code, values } = await this.runner.run(
      scripts.endSessions,
      keys,
      [
        keys.userKey,
        args.userId ?? '',
        operation(),
        args.reason,
        args.createdBefore ?? '',
        args.exceptSid ?? '',
        deviceDigest(args.deviceId),
        args.verifiedFrom ?? '',
        ...(args.sids ?? []),
      ],
      wait,
    );
    if (code !== 'ended') return { ended: 0, verifiedFrom: 0 };
    return { ended: Number(values[0]), verifiedFrom: Number(text(values[1])) };
  }

  async sweepSessions(keys: UserKeys, sids: readonly string[]): Promise<{ swept: number; staying: number }> {
    const { values } = await this.runner.run(scripts.sweepSessions, keys, [keys.userKey, ...sids]);
    return { swept: Number(values[0]), staying: Number(values[1]) };
  }

  async revokeToken(keys: UserKeys, sid: string, tokenId: string, expiresAt: number): Promise<boolean> {
    const { code } = await this.runner.run(scripts.revokeToken, keys, [keys.userKey, sid, tokenId, expiresAt]);
    return code === 'revoked';
  }

  async announceEvent(keys: UserKeys, event: SessionEvent): Promise<void> {
    const { remote: _ours, ...told } = event;
    await this.runner.run(scripts.announceEvent, keys, [JSON.stringify(told)]);
  }

  /** @param again the cutoff of an earlier call that is repeated. */
  async revokeTokens(keys: UserKeys, userId: string, again?: number): Promise<number> {
    const { code, values } = await this.runner.run(scripts.revokeTokens, keys, [
      keys.userKey,
      userId,
      operation(),
      again ?? '',
    ]);
    if (code !== 'revoked') throw unexpected('revokeTokens', code);
    return Number(values[0]);
  }
}

/** The result of an operation on another tenant's session. */
const NOT_OURS = { state: 'absent', now: 0, values: [] } as const;

/** A name by which a script recognises an operation that is sent again. */
function operation(): Buffer {
  return randomBytes(OPERATION_BYTES);
}

function reachedIn({ values }: ScriptReply): ReachedLimit {
  return { state: 'limit', now: Number(values[0]), fields: fieldsOf(values.slice(1) as readonly FieldValue[]) };
}

/** Five arguments: the new flags of the clock, and the rule under which the session is admitted. */
function standingArguments(keys: UserKeys, standing: StandingChange | null): (string | number)[] {
  if (!standing) return ['', '', '', '', ''];
  const flags = standing.pending ? PENDING : 0;
  const { limit, replaces } = standing.admission ?? {};
  if (!limit) return [flags, '', '', '', ''];
  return [flags, limit.max, limit.maxOfType ?? '', POLICY[limit.onLimit], sidOfUser(keys, replaces)];
}

/** The sid of a session id if it is the user's; otherwise ''. */
export function sidOfUser({ userKey }: UserKeys, sessionId: unknown): string {
  return isSessionId(sessionId) && userKeyOfSession(sessionId) === userKey ? sidOf(sessionId) : '';
}

function deviceDigest(deviceId: string | undefined): Buffer | '' {
  return deviceId === undefined ? '' : deviceHashOf(deviceId).subarray(0, DEVICE_BYTES);
}

/** A copy, because nothing is sent before the server's time is known; of the only length that can be packed. */
function bytes(name: string, value: Buffer | null | undefined, length: number): Buffer | '' {
  if (value === undefined || value === null) return '';
  if (!Buffer.isBuffer(value) || value.length !== length)
    throw new InvalidArgumentError(name, `must be a buffer of ${length} bytes`);
  return Buffer.from(value);
}

function snapshotIn(reply: ScriptReply, from = 1): ScriptSnapshot {
  return { now: Number(reply.values[0]), values: reply.values.slice(from) as readonly FieldValue[] };
}

function text(value: Buffer | number | null | undefined): string {
  return Buffer.isBuffer(value) ? value.toString('utf8') : String(value);
}

function unexpected(script: string, code: string): StoreUnavailableError {
  return new StoreUnavailableError(undefined, { cause: new Error(`the script ${script} answered "${code}"`) });
}
