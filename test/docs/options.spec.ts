import { parseDuration } from '../../libs/session/src/options/duration.js';
import { optionsSchema } from '../../libs/session/src/options/options-schema.js';
import { resolveSessionOptions } from '../../libs/session/src/options/resolve-options.js';
import type { Schema, SchemaParts } from '../../libs/session/src/options/schema.js';
import { plain, readDocument, tableUnder } from './support/markdown.js';

const rows = tableUnder(readDocument('docs/options.md'), '## All options').map(
  ([option = '', fallback = '']): [string, string] => [plain(option), plain(fallback)],
);
const documented = new Map(rows);

/** With the options that switch others on, so that those have their defaults. */
const resolved = resolveSessionOptions({
  jwt: { issuer: 'i', audience: 'a', dpop: 'optional' },
  nearCache: true,
  deviceBound: true,
  events: { stream: true },
  history: true,
}) as unknown as Record<string, unknown>;

/** Where what is resolved is not what a user would write, or where a default is not a value. */
const OTHERWISE: Record<string, unknown> = {
  secrets: 'required with `redis`',
  jwt: undefined,
  'jwt.issuer': 'required with `jwt`',
  'jwt.audience': 'required with `jwt`',
  'jwt.keys': 'derived from `secrets`',
  'jwt.dpop': 'off',
  'jwt.dpop.mode': 'required with the others',
  'jwt.dpop.algorithms': 'all',
  'security.idAlphabet': 'A-Za-z0-9',
  'security.csrf': true,
  'security.useFingerprint': true,
  'security.bindToIP': false,
  'cookie.former': undefined,
  nearCache: false,
  // Not together with `deviceBound`.
  accounts: false,
  'accounts.max': 5,
  deviceBound: false,
  'events.log': true,
  'events.stream': false,
  history: false,
  telemetry: true,
  'cookie.httpOnly': true,
  'session.maxRecordBytes': 65_536,
};

describe('7.1.1: the options in docs/options.md', () => {
  it('are all that there are, each once', () => {
    expect(rows.map(([option]) => option).sort()).toEqual(optionNames(optionsSchema).sort());
  });

  it.each([...documented.keys()])('%s has the documented default', (name) => {
    const written = documented.get(name) ?? '';
    const actual = name in OTHERWISE ? OTHERWISE[name] : valueAt(resolved, name);
    expect(meaningOf(written, actual)).toEqual(actual ?? 'none');
  });

  it('include the two timeouts of the sample, which names them as well', () => {
    expect([documented.get('session.idleTimeout'), documented.get('session.absoluteTimeout')]).toEqual([
      '30 minutes',
      '24 hours',
    ]);
    expect(readDocument('docs/sample.md')).toMatch(/`IDLE_TIMEOUT`, `ABSOLUTE_TIMEOUT`\s*\|[^|]*\|\s*`30m`, `24h`/);
  });
});

/** The written default as a value of the kind of the actual one. */
function meaningOf(written: string, actual: unknown): unknown {
  if (actual === Infinity) return written === 'never' ? Infinity : written;
  if (typeof actual === 'boolean') return written === 'true' || (written === 'false' ? false : written);
  if (typeof actual === 'number')
    return /^[\d,]+$/.test(written) ? Number(written.replaceAll(',', '')) : parseDuration(written);
  return written;
}

function valueAt(values: Record<string, unknown>, name: string): unknown {
  const value = name
    .split('.')
    .reduce<unknown>((from, key) => (from as Record<string, unknown> | undefined)?.[key], values);
  return value === '' || value === null ? undefined : value;
}

/** Documented as one: their parts stand beside their types. */
const UNDIVIDED = new Set([
  'security.useFingerprint',
  'security.bindToIP',
  'jwt.refreshCookie',
  'security.csrf',
  'expressSession',
]);
/** Groups that are options themselves. */
const ALSO_OPTIONS = new Set([
  'jwt',
  'jwt.dpop',
  'accounts',
  'deviceBound',
  'nearCache',
  'events.stream',
  'history',
  'telemetry',
]);

/** The names of all options, read from the schema that checks them. */
function optionNames(schema: Schema<unknown>, prefix = ''): string[] {
  return Object.entries(shapeOf(schema) ?? {}).flatMap(([key, inner]) => {
    const name = prefix + key;
    const shape = shapeOf(inner);
    if (!shape || UNDIVIDED.has(name)) return [name];
    return [...(ALSO_OPTIONS.has(name) ? [name] : []), ...optionNames(inner, `${name}.`)];
  });
}

function shapeOf({ parts: { shape, inner, alternatives = [] } }: Schema<unknown>): SchemaParts['shape'] {
  if (shape) return shape;
  for (const next of [inner, ...alternatives]) {
    const found = next && shapeOf(next);
    if (found) return found;
  }
  return undefined;
}
