import { isMap, isNativeError, isSet } from 'node:util/types';
import { InvalidArgumentError, SessionError, SessionTooLargeError } from './errors.js';
import type { SessionPatch } from './session.js';

/** Maximum depth of session data. */
export const MAX_DATA_DEPTH = 100;

/** Maximum length of a path in a message. */
const MAX_PATH_LENGTH = 200;

/** What to store instead of values that JSON loses or changes. */
const INSTEAD: Readonly<Record<string, string>> = {
  Map: 'store Object.fromEntries(map), or a list of its entries',
  Set: 'store a list: [...set]',
  BigInt: 'store it as a string',
};

/**
 * Refuses data that JSON cannot write (cycles, BigInt, over 100 levels) or silently loses: a Map, a Set, an Error or bytes
 * become `{}`. As in JSON, functions and `undefined` are left out and `toJSON` is called.
 *
 * @param limit Bytes. Larger data is refused before it is written.
 * @throws {InvalidArgumentError} with the path of the value.
 * @throws {SessionTooLargeError}
 */
export function assertSessionData(data: unknown, limit: number): void {
  try {
    new Inspection(limit).visit(data, '', 'data', 0);
  } catch (error) {
    if (error instanceof SessionError) throw error;
    throw new InvalidArgumentError('data', 'must be plain JSON: a getter or toJSON in it failed');
  }
}

/** Like `assertSessionData`, for a patch, before the store is called. */
export function assertPatchData(change: unknown, limit: number): void {
  if (typeof change !== 'object' || change === null) return;
  assertSessionData((change as SessionPatch).data, limit);
}

class Inspection {
  private readonly open = new Set<object>();
  /** Lower bound of the size of the JSON, bytes. */
  private size = 0;

  constructor(private readonly limit: number) {}

  visit(given: unknown, key: string, path: string, depth: number): void {
    if (typeof given === 'bigint') refuse(path, 'BigInt');
    const value = writtenBy(given, key);
    if (typeof value === 'bigint') refuse(path, 'BigInt');
    if (value === undefined || typeof value === 'function' || typeof value === 'symbol') return;
    this.add(typeof value === 'string' ? value.length : 1);
    if (typeof value !== 'object' || value === null) return;
    const lost = kindThatIsLost(value);
    if (lost !== null) refuse(path, lost);
    if (this.open.has(value)) throw new InvalidArgumentError(path, 'holds itself; data must have no cycles');
    if (depth > MAX_DATA_DEPTH) {
      throw new InvalidArgumentError(path, `is nested deeper than ${MAX_DATA_DEPTH} levels; keep data flat`);
    }
    this.open.add(value);
    if (Array.isArray(value)) {
      value.forEach((entry: unknown, index) => this.visit(entry, String(index), `${path}[${index}]`, depth + 1));
    } else {
      for (const [name, entry] of Object.entries(value)) {
        if (entry !== undefined) this.add(name.length);
        this.visit(entry, name, joined(path, name), depth + 1);
      }
    }
    this.open.delete(value);
  }

  private add(bytes: number): void {
    this.size += bytes;
    if (this.size > this.limit) throw new SessionTooLargeError(this.size, this.limit);
  }
}

function refuse(path: string, kind: string): never {
  const instead = INSTEAD[kind] ?? 'store plain objects, lists, strings, numbers, booleans and null';
  throw new InvalidArgumentError(path, `is of the kind ${kind}, which JSON cannot keep; ${instead}`);
}

function writtenBy(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { toJSON } = value as { toJSON?: unknown };
  return typeof toJSON === 'function' ? (toJSON as (key: string) => unknown).call(value, key) : value;
}

/** The kind of an object that JSON loses or changes; null for all others. */
function kindThatIsLost(value: object): string | null {
  if (isMap(value)) return 'Map';
  if (isSet(value)) return 'Set';
  if (isNativeError(value)) return 'Error';
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  if (ArrayBuffer.isView(value) || kind === 'BigInt') return kind;
  const isPlain = kind === 'Object' || kind === 'Array' || kind === 'String' || kind === 'Number' || kind === 'Boolean';
  return isPlain || Object.keys(value).length > 0 ? null : kind;
}

function joined(path: string, name: string): string {
  const whole = /^[\w$]+$/.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`;
  return whole.length > MAX_PATH_LENGTH ? `${whole.slice(0, MAX_PATH_LENGTH)}…` : whole;
}
