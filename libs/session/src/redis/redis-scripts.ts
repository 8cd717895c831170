import { randomBytes } from 'node:crypto';
import { InvalidArgumentError, StoreUnavailableError, endedError } from '../model/errors.js';
import type { SessionEvent } from '../model/events.js';
import { deviceHashOf } from '../model/ids.js';
import type { SessionLimit } from '../model/limit.js';
import { DEVICE_TYPES, END_REASONS, type DeviceType, type EndReason } from '../model/session.js';
import type { RenewRequest, RotateRequest } from '../ports/session-store.js';
import type { UserKeys } from './keys.js';
import { scripts } from './lua/scripts.generated.js';
import { DEVICE_BYTES, REVISION_BYTES } from './packed.js';
import type { SENT_AT, ScriptReply, ScriptRunner } from './script-runner.js';
import { fieldsOf, type FieldValue } from './user-record.js';

/** Values of the hash as a script sent them, with the server's time at which they were true. */
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
  /** Whether the session counts towards the limits. */
  readonly counts: boolean;
  readonly idleTimeout: number;
  readonly absoluteTimeout: number;
  readonly expiresAt: number | null;
  readonly limit: SessionLimit;
  readonly replaces: string;
  readonly cookie: Buffer | undefined;
  readonly refresh: Buffer | undefined;
  readonly client: Buffer | null | undefined;
}

export interface WriteArguments {
  readonly sid: string;
  readonly record: string;
  /** Revision the record was computed from. */
  readonly from: string;
  /** Number of the profile the record was computed with, where it sets email or roles, else null. */
  readonly profileSeq: number | null;
}

export interface EndArguments {
  readonly userId?: string | undefined;
  readonly reason: EndReason;
  /** Later sessions are spared. */
  readonly createdBefore?: number | typeof SENT_AT | undefined;
  readonly exceptSid?: string | undefined;
  readonly deviceId?: string | undefined;
  readonly sids?: readonly string[];
}

const SECRET_HASH_BYTES = 32;
const CLIENT_BYTES = 8;
const OPERATION_BYTES = 8;
/** Added to the number of the device type. */
const UNCOUNTED = 8;
const KIND_NUMBER = { cookie: 1, refresh: 2 } as const;
const POLICY = { 'evict-least-recent': 'recent', 'evict-oldest': 'oldest', reject: 'reject' } as const;

/** One typed method a script: puts arguments in order and reads the reply's code. Documentation stands in the scripts. */
export class RedisScripts {
  constructor(private readonly runner: ScriptRunner) {}

  async createSession(
    keys: UserKeys,
    args: CreateArguments,
  ): Promise<{ created: readonly FieldValue[] } | { limit: ReadonlyMap<string, Buffer>; now: number }> {
    const { limit } = args;
    const { code, values } = await this.runner.run(scripts.createSession, keys, [
      keys.userKey,
      args.userId,
      args.sid,
      args.record,
      randomBytes(REVISION_BYTES),
      DEVICE_TYPES.indexOf(args.deviceType ?? 'unknown') + (args.counts ? 0 : UNCOUNTED),
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
    ]);
    switch (code) {
      case 'created':
        return { created: values as readonly FieldValue[] };
      case 'limit':
        return { limit: fieldsOf(values.slice(1) as readonly FieldValue[]), now: Number(values[0]) };
      case 'ended':
        throw endedError(text(values[0]) as EndReason);
      case 'past':
        throw new InvalidArgumentError('expiresAt', 'must lie in the future');
      default:
        throw unexpected('createSession', code);
    }
  }

  async touchSession(keys: UserKeys, sid: string, idleTimeout?: number): Promise<boolean> {
    const { code } = await this.runner.run(scripts.touchSession, keys, [keys.userKey, sid, idleTimeout ?? '']);
    return code === 'touched';
  }

  async updateSession(
    keys: UserKeys,
    args: WriteArguments,
  ): Promise<({ state: 'updated' | 'conflict' } & ScriptSnapshot) | { state: 'absent' }> {
    const reply = await this.runner.run(scripts.updateSession, keys, [
      keys.userKey,
      args.sid,
      args.record,
      Buffer.from(args.from, 'base64url'),
      operation(),
      args.profileSeq ?? '',
    ]);
    if (reply.code === 'absent') return { state: 'absent' };
    if (reply.code === 'updated' || reply.code === 'conflict') return { state: reply.code, ...snapshotIn(reply) };
    throw unexpected('updateSession', reply.code);
  }

  async updateUser(
    keys: UserKeys,
    userId: string,
    patch: { email: string | null; roles: readonly string[] | null },
  ): Promise<number> {
    const { values } = await this.runner.run(scripts.updateUser, keys, [
      keys.userKey,
      userId,
      patch.email === null ? 0 : 1,
      patch.email ?? '',
      patch.roles === null ? 0 : 1,
      patch.roles === null ? '' : JSON.stringify(patch.roles),
      operation(),
    ]);
    return Number(values[0]);
  }

  async rotateCredential(
    keys: UserKeys,
    sid: string,
    request: RotateRequest,
  ): Promise<
    | ({ state: 'rotated' | 'kept' | 'repeated' | 'advanced'; n: number } & ScriptSnapshot)
    | ({ state: 'absent' } & ScriptSnapshot)
    | { state: 'unknown' }
    | { state: 'theft' }
  > {
    const { presented } = request;
    const reply = await this.runner.run(scripts.rotateCredential, keys, [
      keys.userKey,
      sid,
      KIND_NUMBER[request.kind],
      presented.hash,
      presented.n,
      bytes('client', presented.client, CLIENT_BYTES),
      request.grace,
      Number.isFinite(request.rotateAfter) ? request.rotateAfter : '',
      request.rotateFirst ? 1 : 0,
      request.touch ? 1 : 0,
      operation(),
    ]);
    switch (reply.code) {
      case 'rotated':
      case 'kept':
      case 'repeated':
      case 'advanced':
        return { state: reply.code, n: Number(reply.values[1]), ...snapshotIn(reply, 2) };
      case 'absent':
        return { state: 'absent', ...snapshotIn(reply) };
      case 'unknown':
      case 'theft':
        return { state: reply.code };
      default:
        throw unexpected('rotateCredential', reply.code);
    }
  }

  async renewSession(
    keys: UserKeys,
    write: Omit<WriteArguments, 'record'> & { record: string | null },
    request: RenewRequest,
  ): Promise<({ state: 'renewed' | 'conflict' | 'absent' } & ScriptSnapshot) | { state: 'unknown' }> {
    const { presented, credentials } = request;
    const reply = await this.runner.run(scripts.renewSession, keys, [
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
    ]);
    if (reply.code === 'unknown') return { state: 'unknown' };
    if (reply.code === 'renewed' || reply.code === 'conflict' || reply.code === 'absent') {
      return { state: reply.code, ...snapshotIn(reply) };
    }
    throw unexpected('renewSession', reply.code);
  }

  async endSessions(keys: UserKeys, args: EndArguments): Promise<number> {
    // The script would find out only after it had deleted.
    if (!END_REASONS.includes(args.reason))
      throw new InvalidArgumentError('reason', `must be one of ${END_REASONS.join(', ')}`);
    const { values } = await this.runner.run(scripts.endSessions, keys, [
      keys.userKey,
      args.userId ?? '',
      operation(),
      args.reason,
      args.createdBefore ?? '',
      args.exceptSid ?? '',
      deviceDigest(args.deviceId),
      ...(args.sids ?? []),
    ]);
    return Number(values[0]);
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

  async revokeTokens(keys: UserKeys, userId: string): Promise<number> {
    const { values } = await this.runner.run(scripts.revokeTokens, keys, [keys.userKey, userId, operation()]);
    return Number(values[0]);
  }
}

/** A name by which a script knows an operation again that is sent twice. */
function operation(): Buffer {
  return randomBytes(OPERATION_BYTES);
}

function deviceDigest(deviceId: string | undefined): Buffer | '' {
  return deviceId === undefined ? '' : deviceHashOf(deviceId).subarray(0, DEVICE_BYTES);
}

/** A copy, as nothing is sent before the server's time is known; of the one length that can be packed. */
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
