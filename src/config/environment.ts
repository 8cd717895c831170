import { createPrivateKey } from 'node:crypto';
import type { Duration } from 'nestjs-sessions';
import { z } from 'zod';

/** Injects the `Environment`. */
export const ENVIRONMENT = Symbol('ENVIRONMENT');

export const LOG_LEVELS = ['off', 'fatal', 'error', 'warn', 'log', 'debug', 'verbose'] as const;
export type LogLevelName = (typeof LOG_LEVELS)[number];

interface Address {
  host: string;
  port: number;
}

/** Where Redis is: a URL, Sentinels with the name of the primary, or nodes of a Cluster. */
export type RedisPlace = string | { sentinels: Address[]; name: string } | { cluster: { nodes: Address[] } };

/** The settings of the application. Durations stay text, because the library parses them. */
export interface Environment {
  readonly production: boolean;
  readonly port: number;
  readonly adapter: 'express' | 'fastify';
  /** Undefined: sessions are kept in memory. */
  readonly redis: RedisPlace | undefined;
  readonly keyPrefix: string;
  /** The first secret signs; all of them verify. Undefined: random for this process. */
  readonly secrets: string[] | undefined;
  readonly idleTimeout: Duration | undefined;
  readonly absoluteTimeout: Duration | undefined;
  readonly refreshGrace: Duration | undefined;
  /** PEM. Without it access tokens are signed with a key derived from the secrets. */
  readonly jwtPrivateKey: string | undefined;
  readonly nearCache: Duration | undefined;
  /** Whether browsers that can do so bind their sessions to a key of their device. */
  readonly deviceBound: boolean;
  /** Whether clients may bind their tokens to a key (DPoP). */
  readonly dpop: boolean;
  readonly logLevel: LogLevelName;
  /** The bearer token that `GET /metrics` requires. Undefined: open in development, closed in production. */
  readonly metricsToken: string | undefined;
}

/** A variable is missing or wrong. The message names each one and says how to fix it. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError';
}

const SECRET_BYTES = 32;
const MAKE_A_SECRET = 'make one with `openssl rand -base64 48`';

const duration = z
  .string()
  .regex(/^(?=[\d.]*[1-9])\d{1,9}(\.\d+)?\s*(ms|s|m|h|d)?$/, {
    error: ({ input }) => `${JSON.stringify(input)} is not a duration; write, for example, 30s, 15m, 24h or 14d`,
  })
  .transform((text) => text as Duration)
  .optional();

const ADDRESS = /^(?:\[([\da-f:.]+)\]|([^\s:,[\]]+)):(\d{1,5})$/i;

const addresses = z
  .string()
  .transform((text) => text.split(',').map((address) => ADDRESS.exec(address.trim())))
  .refine((matches) => matches.every((match) => match !== null && Number(match[3]) <= 65_535), {
    error: 'must be addresses with commas between them, such as host-1:26379,host-2:26379,[::1]:26379',
  })
  .transform((matches) =>
    matches.map((match) => ({ host: match?.[1] ?? match?.[2] ?? '', port: Number(match?.[3] ?? 0) })),
  )
  .optional();

const secrets = z
  .string()
  .transform((text) => text.split(',').map((secret) => secret.trim()))
  .superRefine((list, context) => {
    list.forEach((secret, index) => {
      const bytes = Buffer.byteLength(secret);
      if (bytes >= SECRET_BYTES) return;
      const which = list.length === 1 ? '' : `secret ${index + 1} of ${list.length} `;
      context.addIssue({
        code: 'custom',
        message: `${which}has ${bytes} bytes, at least ${SECRET_BYTES} are needed; ${MAKE_A_SECRET}`,
      });
    });
  })
  .optional();

const privateKey = z
  .string()
  // Environment files hold one line.
  .transform((text) => text.replaceAll('\\n', '\n'))
  .refine(isP256, {
    error:
      'must be a PEM private key on P-256; make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`',
  })
  .optional();

function isP256(pem: string): boolean {
  try {
    return createPrivateKey(pem).asymmetricKeyDetails?.namedCurve === 'prime256v1';
  } catch {
    return false;
  }
}

const toggle = z.enum(['0', '1'], { error: 'must be 1 or 0' }).optional();

/** Where Redis is; at most one of these is set. */
const PLACES = ['REDIS_URL', 'REDIS_SENTINELS', 'REDIS_CLUSTER'] as const;

const schema = z
  .object({
    NODE_ENV: z.string().optional(),
    PORT: z.coerce
      .number({ error: 'must be a port number, such as 3000' })
      .int({ error: 'must be a port number, such as 3000' })
      .min(0, { error: 'must be a port number from 0 (any free one) to 65535' })
      .max(65_535, { error: 'must be a port number from 0 (any free one) to 65535' })
      .default(3000),
    HTTP_ADAPTER: z.enum(['express', 'fastify'], { error: 'must be "express" or "fastify"' }).default('express'),
    REDIS_URL: z
      .string()
      .regex(/^rediss?:\/\/.+/, {
        error: 'must be a URL such as redis://localhost:6379, or unset to keep sessions in memory',
      })
      .optional(),
    REDIS_SENTINELS: addresses,
    REDIS_MASTER_NAME: z.string().optional(),
    REDIS_CLUSTER: addresses,
    KEY_PREFIX: z
      .string()
      .regex(/^[^{}]+$/, { error: 'must have no braces, such as session:' })
      .default('session:'),
    SESSION_SECRET: secrets,
    IDLE_TIMEOUT: duration,
    ABSOLUTE_TIMEOUT: duration,
    REFRESH_GRACE: duration,
    JWT_PRIVATE_KEY: privateKey,
    NEAR_CACHE: duration,
    DEVICE_BOUND: toggle,
    DPOP: toggle,
    DEMO_USERS: toggle,
    METRICS_TOKEN: z
      .string()
      .min(16, { error: 'must have at least 16 characters; make one with `openssl rand -hex 16`' })
      .optional(),
    LOG_LEVEL: z.enum(LOG_LEVELS, { error: `must be one of ${LOG_LEVELS.join(', ')}` }).default('log'),
  })
  .superRefine(({ NODE_ENV, DEMO_USERS }, context) => {
    if (NODE_ENV !== 'production' || DEMO_USERS === '1') return;
    context.addIssue({
      code: 'custom',
      path: ['DEMO_USERS'],
      message:
        'is required with NODE_ENV=production: the only users of this sample are demo users, whose passwords are public; ' +
        'set DEMO_USERS=1 to run it anyway, or replace src/users',
    });
  })
  .superRefine((variables, context) => {
    const given = PLACES.filter((name) => variables[name] !== undefined);
    if (given.length > 1)
      context.addIssue({
        code: 'custom',
        path: [given[1] ?? ''],
        message: `is set beside ${given[0]}; set only one of ${PLACES.join(', ')}`,
      });
    const { REDIS_SENTINELS, REDIS_MASTER_NAME } = variables;
    if (REDIS_MASTER_NAME !== undefined && REDIS_SENTINELS === undefined)
      context.addIssue({
        code: 'custom',
        path: ['REDIS_MASTER_NAME'],
        message: 'names the primary that Sentinels watch; set REDIS_SENTINELS as well',
      });
  })
  .superRefine((variables, context) => {
    const { NODE_ENV, SESSION_SECRET } = variables;
    if (SESSION_SECRET !== undefined) return;
    const place = PLACES.find((name) => variables[name] !== undefined);
    const cause = place ?? (NODE_ENV === 'production' ? 'NODE_ENV=production' : undefined);
    if (cause === undefined) return;
    context.addIssue({
      code: 'custom',
      path: ['SESSION_SECRET'],
      message: `is required with ${cause}, or every restart would sign everybody out; ${MAKE_A_SECRET}`,
    });
  });

/**
 * Checks the variables and fills in the defaults. An empty variable counts as unset.
 *
 * @throws {EnvironmentError}
 */
export function readEnvironment(variables: Readonly<Record<string, string | undefined>>): Environment {
  const set = Object.fromEntries(
    Object.entries(variables).filter(([, value]) => value !== undefined && value.trim() !== ''),
  );
  const result = schema.safeParse(set);
  if (!result.success) {
    const lines = result.error.issues.map(({ path, message }) => `  ${path.join('.')}: ${message}`);
    throw new EnvironmentError(`The environment is not valid:\n${lines.join('\n')}`);
  }
  const { data } = result;
  return Object.freeze({
    production: data.NODE_ENV === 'production',
    port: data.PORT,
    adapter: data.HTTP_ADAPTER,
    redis: redisOf(data),
    keyPrefix: data.KEY_PREFIX,
    secrets: data.SESSION_SECRET,
    idleTimeout: data.IDLE_TIMEOUT,
    absoluteTimeout: data.ABSOLUTE_TIMEOUT,
    refreshGrace: data.REFRESH_GRACE,
    jwtPrivateKey: data.JWT_PRIVATE_KEY,
    nearCache: data.NEAR_CACHE,
    deviceBound: data.DEVICE_BOUND === '1',
    dpop: data.DPOP === '1',
    logLevel: data.LOG_LEVEL,
    metricsToken: data.METRICS_TOKEN,
  });
}

function redisOf({
  REDIS_URL,
  REDIS_SENTINELS,
  REDIS_MASTER_NAME,
  REDIS_CLUSTER,
}: z.infer<typeof schema>): RedisPlace | undefined {
  if (REDIS_SENTINELS !== undefined) return { sentinels: REDIS_SENTINELS, name: REDIS_MASTER_NAME ?? 'sessions' };
  if (REDIS_CLUSTER !== undefined) return { cluster: { nodes: REDIS_CLUSTER } };
  return REDIS_URL;
}
