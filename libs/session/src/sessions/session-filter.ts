import { InvalidArgumentError } from '../model/errors.js';
import { ipRange } from '../model/ip.js';
import { DEVICE_TYPES, type DeviceType, type Session } from '../model/session.js';

/** Which sessions. Every given condition must hold; without any, all sessions match. */
export interface SessionFilter {
  readonly userId?: string;
  /** One of the user's roles. */
  readonly role?: string;
  /** A session without a device type is `unknown`. */
  readonly deviceType?: DeviceType;
  /** An address or a range in CIDR notation, compared with the address of the sign-in and the last one seen. */
  readonly address?: string;
  /** Whether a browser has bound the session to a key of its device (option `deviceBound`). */
  readonly deviceBound?: boolean;
  /** Epoch ms, by the store's clock. */
  readonly createdBefore?: number;
  /** Epoch ms. */
  readonly createdAfter?: number;
  /** No access was recorded since, epoch ms. */
  readonly unusedSince?: number;
}

const INSTANTS = ['createdBefore', 'createdAfter', 'unusedSince'] as const;
const CONDITIONS: readonly string[] = ['userId', 'role', 'deviceType', 'address', 'deviceBound', ...INSTANTS];

/** The conditions that are given. */
export function conditionsOf(filter: SessionFilter): string[] {
  return Object.entries(filter)
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name);
}

/**
 * The filter as a function.
 *
 * @throws {InvalidArgumentError} for an unknown condition, which would otherwise match everything, or a value that cannot match.
 */
export function matcherOf(filter: SessionFilter): (session: Session) => boolean {
  const unknown = conditionsOf(filter).find((name) => !CONDITIONS.includes(name));
  if (unknown !== undefined)
    throw new InvalidArgumentError(`filter.${unknown}`, `is not one of ${CONDITIONS.join(', ')}`);
  const { userId, role, deviceType, address, deviceBound, createdBefore, createdAfter, unusedSince } = filter;
  for (const name of ['userId', 'role'] as const) {
    const value: unknown = filter[name];
    if (value !== undefined && (typeof value !== 'string' || value === ''))
      throw new InvalidArgumentError(`filter.${name}`, 'must be a non-empty string');
  }
  for (const name of INSTANTS) {
    if (filter[name] !== undefined && !Number.isFinite(filter[name]))
      throw new InvalidArgumentError(`filter.${name}`, 'must be an instant in epoch milliseconds');
  }
  if (deviceType !== undefined && !DEVICE_TYPES.includes(deviceType))
    throw new InvalidArgumentError('filter.deviceType', `must be one of ${DEVICE_TYPES.join(', ')}`);
  if (deviceBound !== undefined && typeof deviceBound !== 'boolean')
    throw new InvalidArgumentError('filter.deviceBound', 'must be true or false');
  const range = address === undefined ? null : ipRange(address);
  if (address !== undefined && range === null)
    throw new InvalidArgumentError('filter.address', 'must be an IP address or a range such as 203.0.113.0/24');

  return (session) =>
    (userId === undefined || session.userId === userId) &&
    (role === undefined || session.roles.includes(role)) &&
    (deviceType === undefined || (session.deviceType ?? 'unknown') === deviceType) &&
    (range === null || range(session.metadata?.ip) || range(session.lastLocation?.ip)) &&
    (deviceBound === undefined || (session.deviceBound ?? false) === deviceBound) &&
    (createdBefore === undefined || session.createdAt < createdBefore) &&
    (createdAfter === undefined || session.createdAt > createdAfter) &&
    (unusedSince === undefined || session.lastAccess <= unusedSince);
}
