import { createPrivateKey } from 'node:crypto';
import { z } from 'zod';

/** Injects the `Environment`. */
export const ENVIRONMENT = Symbol('ENVIRONMENT');

export const LOG_LEVELS = ['off', 'fatal', 'error', 'warn', 'log', 'debug', 'verbose'] as const;
export type LogLevelName = (typeof LOG_LEVELS)[number];

/** What the application runs with. Durations are as written: the library reads them. */
export interface Environment {
  readonly production: boolean;
  readonly port: number;
  readonly adapter: 'express' | 'fastify';
  readonly redisUrl: string | undefined;
  readonly keyPrefix: string;
  /** The first signs, all are recognised. Undefined: random for this process. */
  readonly secrets: string[] | undefined;
  readonly idleTimeout: string | undefined;
  readonly absoluteTimeout: string | undefined;
  readonly refreshGrace: string | undefined;
  /** PEM. Without it access tokens are signed by a key that only this application has. */
  readonly jwtPrivateKey: string | undefined;
  readonly nearCache: string | undefined;
  readonly logLevel: LogLevelName;
}

/** A variable is missing or wrong. The message names each and says how to mend it. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError';
}

const SECRET_BYTES = 32;
const MAKE_A_SECRET = 'make one with `openssl rand -base64 48`';

const duration = z
  .string()
  .regex(/^(?=[\d.]*[1-9])\d{1,9}(\.\d+)?\s*(ms|s|m|h|d)?$/, {
    error: ({ input }) => `${JSON.stringify(input)} is no duration; write one like 30s, 15m, 24h or 14d`,
  })
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
    LOG_LEVEL: z.enum(LOG_LEVELS, { error: `must be one of ${LOG_LEVELS.join(', ')}` }).default('log'),
  })
  .superRefine(({ NODE_ENV, REDIS_URL, SESSION_SECRET }, context) => {
    if (SESSION_SECRET !== undefined) return;
    const cause = REDIS_URL !== undefined ? 'REDIS_URL' : NODE_ENV === 'production' ? 'NODE_ENV=production' : undefined;
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
    throw new EnvironmentError(`The environment does not fit:\n${lines.join('\n')}`);
  }
  const { data } = result;
  return Object.freeze({
    production: data.NODE_ENV === 'production',
    port: data.PORT,
    adapter: data.HTTP_ADAPTER,
    redisUrl: data.REDIS_URL,
    keyPrefix: data.KEY_PREFIX,
    secrets: data.SESSION_SECRET,
    idleTimeout: data.IDLE_TIMEOUT,
    absoluteTimeout: data.ABSOLUTE_TIMEOUT,
    refreshGrace: data.REFRESH_GRACE,
    jwtPrivateKey: data.JWT_PRIVATE_KEY,
    nearCache: data.NEAR_CACHE,
    logLevel: data.LOG_LEVEL,
  });
}
