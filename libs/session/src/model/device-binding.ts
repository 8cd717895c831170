import { createPublicKey, type KeyObject } from 'node:crypto';
import { InvalidArgumentError } from './errors.js';

/** Algorithms of Device Bound Session Credentials. `none`, which its draft also knows, protects nothing. */
export const BINDING_ALGORITHMS = ['ES256', 'RS256'] as const;

export type BindingAlgorithm = (typeof BINDING_ALGORITHMS)[number];

/** A public key of a device. */
export interface DeviceKey {
  readonly algorithm: BindingAlgorithm;
  /** RFC 7638, SHA-256, base64url. */
  readonly thumbprint: string;
  /** SubjectPublicKeyInfo, base64url of its DER. */
  readonly publicKey: string;
}

/** The key to which a session is bound. */
export interface DeviceBinding extends DeviceKey {
  /** When it was bound, epoch ms by the store's clock. */
  readonly boundAt: number;
}

/**
 * How a request stands to the binding of its session: there is none; the bound cookie proves the device; it is missing, but the
 * session was bound so shortly before that the request may have been under way; it is missing.
 */
export type BindingState = 'unbound' | 'proven' | 'in-flight' | 'missing';

const KEY = /^([A-Za-z0-9_-]{43})\.(ES256|RS256)\.([A-Za-z0-9_-]{80,1000})$/;
const BINDING = /^(\d{1,15})\.([^]+)$/;

/** A key as stores write it. @throws {InvalidArgumentError} for what could not be read again. */
export function encodeDeviceKey({ thumbprint, algorithm, publicKey }: DeviceKey): string {
  const text = `${thumbprint}.${algorithm}.${publicKey}`;
  if (!KEY.test(text))
    throw new InvalidArgumentError('key', 'must be an ES256 or RS256 public key with its thumbprint');
  return text;
}

/** Reads `<bound at>.<key>`, or returns null. */
export function decodeDeviceBinding(text: string): DeviceBinding | null {
  const [, instant, rest = ''] = BINDING.exec(text) ?? [];
  const [, thumbprint, algorithm, publicKey] = KEY.exec(rest) ?? [];
  if (instant === undefined || thumbprint === undefined || publicKey === undefined) return null;
  return { boundAt: Number(instant), thumbprint, algorithm: algorithm as BindingAlgorithm, publicKey };
}

/** The key of a binding, or null where it cannot be read. */
export function publicKeyOf({ publicKey }: DeviceKey): KeyObject | null {
  try {
    return createPublicKey({ key: Buffer.from(publicKey, 'base64url'), format: 'der', type: 'spki' });
  } catch {
    return null;
  }
}
