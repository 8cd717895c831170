// Over 300 lines because the schema of all options is one expression, in the order of their documentation.
import { assertTenant } from '../model/tenant.js';
import { KeyObject } from 'node:crypto';
import * as z from './schema.js';
import { DPOP_ALGORITHMS } from '../model/dpop-proof.js';
import type { SignalAction } from '../model/events.js';
import { IP_PRIVACY } from '../model/ip.js';
import { HARD_SESSION_LIMIT, LIMIT_POLICIES } from '../model/limit.js';
import { DEVICE_TYPES } from '../model/session.js';
import { REUSE_DETECTIONS } from '../model/token-family.js';
import { isOriginPattern } from './origins.js';
import { notADuration, parseDuration } from './duration.js';
import { eventsSchema, historySchema, telemetrySchema } from './event-options.js';
import { expressSessionSchema } from './express-session-options.js';
import { isClusterOption, isRedisClient, type RedisOption } from './redis-option.js';
import type { TenantOf } from './tenant-option.js';

const MINUTE = 60_000;

/** The longest delay of Node's timers, ms. */
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
  z.enum(values, { error: `must be one of ${values.map((value) => `"${value}"`).join(', ')}` });
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
  idleTimeout: optionalDuration,
  absoluteTimeout: optionalDuration,
  touchInterval: optionalDuration,
  rotationInterval: optionalDuration,
  rotationGrace: duration(30_000),
  rememberMe: z.strictObject({ idleTimeout: optionalDuration, absoluteTimeout: optionalDuration }).prefault({}),
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
  former: z
    .array(z.strictObject({ path: text.default('/'), domain: text.optional() }), {
      error: 'must be a list of places, such as [{ path: "/app", domain: "example.com" }]',
    })
    .default([]),
});

const DPOP = { nonce: false, window: MINUTE, algorithms: DPOP_ALGORITHMS, publicUrl: null } as const;

const publicUrl = z
  .unknown()
  .transform((value, context) => {
    if (value === undefined) return DPOP.publicUrl;
    const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : null;
    const isPlain =
      url && /^https?:$/.test(url.protocol) && `${url.username}${url.password}${url.search}${url.hash}` === '';
    if (isPlain) return { origin: url.origin, pathname: url.pathname };
    context.addIssue({
      code: 'custom',
      message: 'must be a URL of scheme, host and path alone, such as "https://api.example.com/v1"',
    });
    return z.NEVER;
  })
  .optional()
  .transform((value) => value ?? DPOP.publicUrl);

const DPOP_MODES = ['off', 'optional', 'required'] as const;

const dpop = z
  .union(
    [
      z.enum(DPOP_MODES),
      z.strictObject({
        mode: oneOf(DPOP_MODES),
        nonce: flag.default(DPOP.nonce),
        window: duration(DPOP.window).refine((value) => value >= 1_000 && value <= 10 * MINUTE, {
          error: 'must be from one second to ten minutes',
        }),
        algorithms: z
          .array(oneOf(DPOP_ALGORITHMS), { error: 'must be a list of algorithms, such as ["ES256"]' })
          .min(1, { error: 'must not be empty' })
          .default([...DPOP.algorithms]),
        publicUrl,
      }),
    ],
    { error: 'must be "off", "optional", "required" or { mode, nonce, window, algorithms, publicUrl }' },
  )
  .default('off')
  .transform((value) => {
    const { mode, ...rest } = typeof value === 'string' ? { ...DPOP, mode: value } : value;
    return mode === 'off' ? null : { ...rest, mode };
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
    .min(1, { error: 'must not be empty; omit it for a key derived from secrets' })
    .optional(),
  accessTokenTtl: duration(15 * MINUTE),
  refreshGrace: duration(30_000),
  refreshCookie: z.strictObject({ name: text.optional(), path: text }).optional(),
  dpop,
});

const ACTIONS = ['off', 'log', 'step-up', 'reject', 'end'] as const;
const ACTION_ERROR = 'must be true, false, "off", "log", "step-up", "reject" or "end"';
const action = z.union([z.boolean(), z.enum(ACTIONS)], { error: ACTION_ERROR }).optional();

/** `true`: services relay bearer tokens, so another client is only logged there. */
const ON = { cookie: 'reject', bearer: 'log' } as const;
const OFF = { cookie: 'off', bearer: 'off' } as const;

const signalActions = (fallback: boolean) =>
  z
    .union([z.boolean(), z.enum(ACTIONS), z.strictObject({ cookie: action, bearer: action })], {
      error: `${ACTION_ERROR}, or { cookie, bearer } of these`,
    })
    .default(fallback)
    .transform((value): { cookie: SignalAction; bearer: SignalAction } => {
      if (typeof value === 'boolean') return value ? ON : OFF;
      if (typeof value === 'string') return { cookie: value, bearer: value };
      const of = (transport: 'cookie' | 'bearer'): SignalAction => {
        const chosen = value[transport] ?? true;
        return typeof chosen === 'string' ? chosen : (chosen ? ON : OFF)[transport];
      };
      return { cookie: of('cookie'), bearer: of('bearer') };
    });

const security = z.strictObject({
  useFingerprint: signalActions(true),
  bindToIP: signalActions(false),
  ipPrivacy: oneOf(IP_PRIVACY).default('full'),
  idLength: wholeNumber(1, 256).default(32),
  idAlphabet: text.optional(),
  csrf: z
    .union(
      [
        z.boolean(),
        z.strictObject({
          trustedOrigins: z.array(
            z.string().refine(isOriginPattern, {
              error:
                'must be an origin: scheme, host and port alone, such as "https://app.example.com", "https://*.example.com" for all subdomains, or "capacitor://localhost"',
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

const DAY = 24 * 60 * MINUTE;
const PATH_ERROR = 'must be a path of letters, digits and . _ ~ -, such as "/session/device/register"';
const path = (fallback: string) => text.regex(/^(\/[A-Za-z0-9._~-]+)+$/, { error: PATH_ERROR }).default(fallback);
const DEVICE_BOUND = {
  refresh: 10 * MINUTE,
  paths: { register: '/session/device/register', refresh: '/session/device/refresh', prefix: '' },
  required: false,
  policy: 'reject',
} as const;

const deviceBoundSettings = z.strictObject({
  refresh: duration(DEVICE_BOUND.refresh).refine((value) => value >= 1_000 && value <= DAY, {
    error: 'must be from one second to one day',
  }),
  paths: z
    .strictObject({
      register: path(DEVICE_BOUND.paths.register),
      refresh: path(DEVICE_BOUND.paths.refresh),
      prefix: z
        .string({ error: 'must be text' })
        .regex(/^(\/[A-Za-z0-9._~-]+)*$/, { error: PATH_ERROR })
        .default(DEVICE_BOUND.paths.prefix),
    })
    .prefault({}),
  required: flag.default(DEVICE_BOUND.required),
  policy: oneOf(['log', 'step-up', 'reject']).default(DEVICE_BOUND.policy),
});

const deviceBound = z
  .union([z.boolean(), deviceBoundSettings], { error: 'must be true, false or { refresh, paths, required, policy }' })
  .default(false)
  .transform((value) => (value === false ? null : value === true ? DEVICE_BOUND : value));

const accounts = z
  .union([z.boolean(), z.strictObject({ max: wholeNumber(2, 10).default(5) })], {
    error: 'must be true, false or { max }',
  })
  .default(false)
  .transform((value) => (value === false ? null : value === true ? { max: 5 } : value));

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

const tenant = z.union(
  [
    z
      .string()
      .min(1, { error: 'must not be empty, which means no tenant; omit it if there are no tenants' })
      .refine(isTenant, { error: 'must be at most 256 characters, without control characters or lone surrogates' }),
    callable<TenantOf>(),
  ],
  { error: 'must be text, or a function of the request' },
);

/** The schema of the options with their defaults. Rules between options are checked in `resolve-options.ts`. */
export const optionsSchema = z.strictObject({
  preset: oneOf(['aal1', 'aal2', 'aal3']).optional(),
  redis: redis.optional(),
  store: adapter(
    ['create', 'createLive', 'read', 'rotate', 'regenerate', 'touch', 'destroy', 'subscribe', 'ready', 'now'],
    'SessionStore',
  ).optional(),
  blacklist: adapter(['add', 'addBulk', 'isBlacklisted', 'revokeAllFor', 'isRevokedFor'], 'TokenBlacklist').optional(),
  secrets: z.union([bytes, z.array(bytes)], { error: 'must be text, bytes, or a list of them' }).optional(),
  keyPrefix: text
    .regex(/^[^{}]*$/, { error: 'must have no braces: they decide where Redis Cluster keeps a key' })
    .default('session:'),
  tenant: tenant.default(''),
  session: session.prefault({}),
  cookie: cookie.prefault({}),
  jwt: jwt.optional(),
  reuseDetection: oneOf(REUSE_DETECTIONS).default('after-use'),
  security: security.prefault({}),
  deviceBound,
  accounts,
  device: z.strictObject({ cookie: flag.default(false) }).prefault({}),
  nearCache,
  events: eventsSchema.prefault({}),
  history: historySchema,
  telemetry: telemetrySchema,
  sweeper: z.strictObject({ interval: timer(30_000) }).prefault({}),
  commandTimeout: timer(500),
  minReplicas: z.int().min(0, { error: 'must not be negative' }).default(0),
  strictRedis: flag.default(false),
  clockTolerance: duration(MINUTE),
  expressSession: expressSessionSchema.optional(),
  resolveUser: callable().optional(),
  beforeStart: callable().optional(),
  locate: callable().optional(),
  mergeAnonymous: callable().optional(),
});

export type ParsedOptions = z.output<typeof optionsSchema>;

function isTenant(value: string): boolean {
  try {
    assertTenant(value);
    return true;
  } catch {
    return false;
  }
}
