import { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { IP_PRIVACY } from '../model/ip.js';
import { HARD_SESSION_LIMIT, LIMIT_POLICIES } from '../model/limit.js';
import { DEVICE_TYPES } from '../model/session.js';
import { notADuration, parseDuration } from './duration.js';
import { eventsSchema, historySchema, telemetrySchema } from './event-options.js';
import { expressSessionSchema } from './express-session-options.js';
import { isClusterOption, isRedisClient, type RedisOption } from './redis-option.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Node's timers cannot wait longer. */
const LONGEST_TIMER = 2 ** 31 - 1;

const optionalDuration = z
  .unknown()
  .transform((value, context) => {
    if (value === undefined) return undefined;
    const duration = parseDuration(value);
    if (duration !== null) return duration;
    context.addIssue({ code: 'custom', message: notADuration(value) });
    return z.NEVER;
  })
  .optional();

const duration = (fallback: number) => optionalDuration.transform((value) => value ?? fallback);

const timer = (fallback: number) =>
  duration(fallback).refine((value) => value <= LONGEST_TIMER, { error: 'must be 24 days or less' });

const text = z.string({ error: 'must be text' }).min(1, { error: 'must not be empty' });
const flag = z.boolean({ error: 'must be true or false' });
const wholeNumber = (least: number, most: number) => {
  const error = `must be a whole number from ${least} to ${most}`;
  return z.int({ error }).min(least, { error }).max(most, { error });
};
const oneOf = <T extends string>(values: readonly T[]) =>
  z.enum(values as [T, ...T[]], { error: `must be one of ${values.map((value) => `"${value}"`).join(', ')}` });
const callable = <F extends (...args: never[]) => unknown>() =>
  z.custom<F>((value) => typeof value === 'function', { error: 'must be a function' });
const adapter = <T>(methods: readonly string[], port: string) =>
  z.custom<T>(
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function'),
    { error: `must be an instance of a class that extends ${port} (an object with ${methods.join(', ')})` },
  );

const redis = z.custom<RedisOption>(isRedisOption, {
  error:
    'must be a URL that begins with redis:// or rediss://, the path of a socket, ioredis options, { cluster: { nodes: [...] } } or a live ioredis client',
});

function isRedisOption(value: unknown): boolean {
  if (typeof value === 'string') return /^(rediss?:\/\/.|\/.)/.test(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const option = value as RedisOption;
  if (isRedisClient(option) || !isClusterOption(option)) return true;
  const cluster: unknown = option.cluster;
  if (typeof cluster !== 'object' || cluster === null || !('nodes' in cluster)) return false;
  return Array.isArray(cluster.nodes) && cluster.nodes.length > 0;
}

const bytes = z.custom<string | Uint8Array>((value) => typeof value === 'string' || value instanceof Uint8Array, {
  error: 'must be text or bytes',
});
const keyMaterial = z.custom<string | Uint8Array | KeyObject>(
  (value) => typeof value === 'string' || value instanceof Uint8Array || value instanceof KeyObject,
  { error: 'must be text, bytes or a KeyObject' },
);

const session = z.strictObject({
  idleTimeout: duration(30 * MINUTE),
  absoluteTimeout: duration(24 * HOUR),
  touchInterval: optionalDuration,
  renewalInterval: optionalDuration,
  rememberMe: z.strictObject({ idleTimeout: duration(14 * DAY), absoluteTimeout: duration(30 * DAY) }).prefault({}),
  maxSessionsPerUser: z
    .union([wholeNumber(1, HARD_SESSION_LIMIT), callable()], {
      error: `must be a whole number from 1 to ${HARD_SESSION_LIMIT}, or a function that returns one`,
    })
    .default(5),
  maxSessionsPerDeviceType: z
    .partialRecord(z.enum(DEVICE_TYPES), wholeNumber(1, HARD_SESSION_LIMIT), {
      error: `must be an object of ${DEVICE_TYPES.join(', ')}, such as { mobile: 2 }`,
    })
    .optional(),
  onLimit: oneOf(LIMIT_POLICIES).default('evict-least-recent'),
  freshness: duration(5 * MINUTE),
  maxRecordBytes: wholeNumber(1024, 16 * 1024 * 1024).default(64 * 1024),
});

const cookie = z.strictObject({
  name: text.optional(),
  secure: flag.default(true),
  httpOnly: z
    .literal(true, { error: 'cannot be switched off: a script that can read the cookie can steal the session' })
    .default(true),
  sameSite: oneOf(['lax', 'strict', 'none']).default('lax'),
  path: text.default('/'),
  domain: text.optional(),
  partitioned: flag.default(false),
});

const jwt = z.strictObject({
  issuer: text,
  audience: z.union([text, z.array(text).min(1, { error: 'must not be empty' })], {
    error: 'must be text or a list of texts, not empty',
  }),
  keys: z
    .array(
      z.strictObject({
        kid: text,
        alg: oneOf(['HS256', 'HS384', 'HS512', 'RS256', 'PS256', 'ES256', 'ES384']),
        secret: keyMaterial.optional(),
        privateKey: keyMaterial.optional(),
        publicKey: keyMaterial.optional(),
      }),
      { error: 'must be a list of { kid, alg, secret } or { kid, alg, privateKey, publicKey }' },
    )
    .min(1, { error: 'must not be empty; leave it out for a key derived from secrets' })
    .optional(),
  accessTokenTtl: duration(15 * MINUTE),
  refreshGrace: duration(30_000),
  refreshCookie: z.strictObject({ name: text.optional(), path: text }).optional(),
});

const signalAction = z
  .union([z.boolean(), z.enum(['off', 'log', 'step-up', 'reject', 'end'])], {
    error: 'must be true, false, "off", "log", "step-up", "reject" or "end"',
  })
  .default('off')
  .transform((value) => (value === true ? 'reject' : value === false ? 'off' : value));

const security = z.strictObject({
  useFingerprint: signalAction,
  bindToIP: signalAction,
  ipPrivacy: oneOf(IP_PRIVACY).default('full'),
  idLength: wholeNumber(1, 256).default(32),
  idAlphabet: text.optional(),
  csrf: z
    .union(
      [
        z.boolean(),
        z.strictObject({
          trustedOrigins: z.array(
            z.string().refine(isOrigin, {
              error: 'must be an origin: scheme, host and port alone, such as "https://app.example.com"',
            }),
            { error: 'must be a list of origins, such as ["https://app.example.com"]' },
          ),
        }),
      ],
      { error: 'must be true, false or { trustedOrigins: ["https://app.example.com"] }' },
    )
    .default(true)
    .transform((value) => ({
      enabled: value !== false,
      trustedOrigins: typeof value === 'object' ? value.trustedOrigins : [],
    })),
});

function isOrigin(value: string): boolean {
  return URL.canParse(value) && new URL(value).origin === value;
}

const nearCache = z
  .union(
    [
      z.boolean(),
      z.strictObject({ maxEntries: wholeNumber(1, 10_000_000).default(10_000), maxStale: duration(5_000) }),
    ],
    {
      error: 'must be true, false or { maxEntries, maxStale }',
    },
  )
  .default(false)
  .transform((value) => (value === false ? null : value === true ? { maxEntries: 10_000, maxStale: 5_000 } : value));

/** The shape of the options with their defaults. What one option means for another is checked elsewhere. */
export const optionsSchema = z.strictObject({
  preset: oneOf(['aal1', 'aal2', 'aal3']).optional(),
  redis: redis.optional(),
  store: adapter(
    ['create', 'read', 'rotate', 'renew', 'touch', 'destroy', 'subscribe', 'ready', 'now'],
    'SessionStore',
  ).optional(),
  blacklist: adapter(['add', 'addBulk', 'isBlacklisted', 'revokeAllFor', 'isRevokedFor'], 'TokenBlacklist').optional(),
  secrets: z.union([bytes, z.array(bytes)], { error: 'must be text, bytes, or a list of them' }).optional(),
  keyPrefix: text
    .regex(/^[^{}]*$/, { error: 'must have no braces: they decide where Redis Cluster keeps a key' })
    .default('session:'),
  tenant: z.string({ error: 'must be text' }).default(''),
  session: session.prefault({}),
  cookie: cookie.prefault({}),
  jwt: jwt.optional(),
  security: security.prefault({}),
  device: z.strictObject({ cookie: flag.default(false) }).prefault({}),
  nearCache,
  events: eventsSchema.prefault({}),
  history: historySchema,
  telemetry: telemetrySchema,
  sweeper: z.strictObject({ interval: timer(30_000) }).prefault({}),
  commandTimeout: timer(500),
  clockTolerance: duration(MINUTE),
  expressSession: expressSessionSchema.optional(),
  resolveUser: callable().optional(),
  beforeStart: callable().optional(),
  locate: callable().optional(),
  mergeAnonymous: callable().optional(),
});

export type ParsedOptions = z.output<typeof optionsSchema>;
