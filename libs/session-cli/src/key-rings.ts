import { CommandError, EXIT } from './exit-codes.js';
import { newJwtKey, newSecret, verifyingHalf, type JwtAlgorithm, type JwtKey } from './new-keys.js';

/** A value to set, when, and what it does. */
export interface Step {
  readonly when: string;
  readonly value: string;
  readonly effect: string;
}

/** How the keys in a variable are replaced. */
export interface KeyRotation {
  readonly variable: string;
  /** The option that the application passes the variable to. */
  readonly option: 'secrets' | 'jwt.keys';
  /** How many keys are set here. */
  readonly found: number;
  readonly steps: readonly Step[];
}

interface Source {
  readonly variable: string;
  /** Value of the variable; undefined where it is not set. */
  readonly current: string | undefined;
  /** Whether steps contain the values, instead of `<current>` and `<new>`. */
  readonly show: boolean;
  /** Whether the current keys are known to somebody else. */
  readonly leaked: boolean;
  /** How long what the old key signed is in use, in words. */
  readonly lifetime: string;
}

const EVERYWHERE = 'Once all instances run with that';

/** Replaces a secret of the option `secrets`: the first signs, all verify. */
export function rotateSecrets({ variable, current, show, leaked, lifetime }: Source): KeyRotation {
  const old = (current ?? '').split(',').map((secret) => secret.trim());
  const found = old.filter((secret) => secret !== '').length;
  const [now, next] = [show && found > 0 ? (current ?? '') : '<current>', show ? newSecret() : '<new>'];
  const steps: Step[] = leaked
    ? [
        {
          when: 'At once, and restart all instances together:',
          value: next,
          effect:
            'Everybody signs in again: nothing signed with the old secret is accepted. Then remove the sessions that nobody can use any more: nestjs-sessions-cli end --all --reason "secret leaked"',
        },
      ]
    : [
        {
          when: 'Set, and restart the instances one after the other:',
          value: `${now},${next}`,
          effect:
            'All of them accept the new secret, and sign with the old one: none meets a cookie that it cannot read.',
        },
        {
          when: `${EVERYWHERE}, set, and restart them again:`,
          value: `${next},${now}`,
          effect: 'New cookies and tokens are signed with the new secret. Nobody notices.',
        },
        {
          when: `${lifetime} later, when no session from before step 2 is left, set and restart:`,
          value: next,
          effect:
            'The old secret is worth nothing. Sooner, sessions in use since before step 2 could be refused. A browser that has not signed in since counts as a new device if device.cookie is on.',
        },
      ];
  return { variable, option: 'secrets', found, steps };
}

/**
 * Replaces a key of the option `jwt.keys`: the first signs, all verify.
 *
 * @throws {CommandError} if the variable is set to something else than a JSON list of keys. Its text is not repeated.
 */
export function rotateJwtKeys(alg: JwtAlgorithm, { variable, current, show, leaked, lifetime }: Source): KeyRotation {
  const old = current === undefined || current.trim() === '' ? [] : keysIn(current, variable);
  const next = show ? newJwtKey(alg) : null;
  const listed = (...parts: ('new' | 'current' | 'verifying')[]): string => {
    const kept = (keys: readonly JwtKey[]): string =>
      show && keys.length > 0 ? JSON.stringify(keys).slice(1, -1) : '<current>';
    const text = {
      new: next ? JSON.stringify(next) : '<new>',
      current: kept(old),
      verifying: kept(old.map(verifyingHalf)),
    };
    return `'[${parts.map((part) => text[part]).join(',')}]'`;
  };
  const steps: Step[] = leaked
    ? [
        {
          when: 'At once, and restart all instances together:',
          value: listed('new'),
          effect:
            'Access tokens signed with the old key are refused; clients with a refresh token get new ones, and nobody signs in again. Services that verify tokens themselves accept the old key until they load the JWKS again.',
        },
      ]
    : [
        {
          when: 'Set, and restart the instances one after the other:',
          value: listed('current', 'new'),
          effect: 'All of them accept the new key and publish it (JWKS), and sign with the old one.',
        },
        {
          when: `${EVERYWHERE}, and services that verify tokens themselves have loaded the JWKS again, set and restart:`,
          value: listed('new', 'verifying'),
          effect: 'New access tokens are signed with the new key. Of an old key pair only the publicKey is needed.',
        },
        {
          when: `${lifetime} later, when the last access token of the old key has expired, set and restart:`,
          value: listed('new'),
          effect: 'The old key is worth nothing. Sooner, clients would have to refresh early.',
        },
      ];
  return { variable, option: 'jwt.keys', found: old.length, steps };
}

function keysIn(text: string, variable: string): JwtKey[] {
  try {
    const keys: unknown = JSON.parse(text);
    if (Array.isArray(keys) && keys.every(isKey)) {
      // Also reads their key material.
      keys.forEach(verifyingHalf);
      return keys;
    }
  } catch {
    // The parser's message may quote the key.
  }
  throw new CommandError(
    `${variable} must be a JSON list of keys with kid, alg and secret, privateKey or publicKey. Unset it to see the steps without its values.`,
    EXIT.usage,
  );
}

function isKey(value: unknown): value is JwtKey {
  if (typeof value !== 'object' || value === null) return false;
  const { kid, alg, secret, privateKey, publicKey }: Partial<Record<string, unknown>> = { ...value };
  const material = [secret, privateKey, publicKey].filter((part) => part !== undefined);
  return [kid, alg, ...material].every((part) => typeof part === 'string' && part !== '') && material.length > 0;
}
