import { z } from 'zod';
import { type AliasedSessionOptions, resolveAliasedSessionOptions } from './aliased-session-options.js';
import { notADuration, parseDuration, type Duration } from './duration.js';

/** The cookie of express-session. */
export interface ExpressSessionCookieOptions {
  /** How long it lasts, counted from the latest response. Null: until the browser closes. Default 24 hours. */
  maxAge?: Duration | null;
  /** `auto`: as the connection is. Default: true where NODE_ENV is `production`. */
  secure?: boolean | 'auto';
  /** Default true. */
  httpOnly?: boolean;
  /** Default `lax`. */
  sameSite?: 'lax' | 'strict' | 'none' | boolean;
  /** Default `/`. */
  path?: string;
  /** Default: the host alone. */
  domain?: string;
  /** Default false. */
  partitioned?: boolean;
}

/** Mounts express-session on the application, with its sessions in the module's store. Express alone. */
export interface ExpressSessionOptions {
  /** Signs the cookie. The first signs, all are recognised. */
  secret: string | string[];
  /** Of the cookie. Default `connect.sid`. */
  name?: string;
  /** Sets the cookie at each response, so that the session lasts as long as it is used. Default true. */
  rolling?: boolean;
  /** Saves sessions that did not change. Default false. */
  resave?: boolean;
  /** Saves new sessions in which nothing was put. Default false. */
  saveUninitialized?: boolean;
  /** Whether to trust `X-Forwarded-Proto`. Default: as Express does. */
  proxy?: boolean;
  /** What `req.session = null` does. Default `keep`. */
  unset?: 'keep' | 'destroy';
  cookie?: ExpressSessionCookieOptions;
  /** How sessions are kept: who their user is, what connect-redis left, and more. */
  store?: AliasedSessionOptions;
}

const text = z.string({ error: 'must be text' }).min(1, { error: 'must not be empty' });
const flag = z.boolean({ error: 'must be true or false' });

const cookie = z.strictObject({
  maxAge: z
    .unknown()
    .transform((value, context) => {
      if (value === undefined || value === null) return value;
      const duration = parseDuration(value);
      if (duration !== null) return duration;
      context.addIssue({ code: 'custom', message: notADuration(value) });
      return z.NEVER;
    })
    .optional()
    .transform((value) => (value === undefined ? 24 * 60 * 60_000 : value)),
  secure: z.union([z.boolean(), z.literal('auto')], { error: 'must be true, false or "auto"' }).optional(),
  httpOnly: flag.default(true),
  sameSite: z
    .union([z.boolean(), z.enum(['lax', 'strict', 'none'])], { error: 'must be "lax", "strict" or "none"' })
    .default('lax'),
  path: text.default('/'),
  domain: text.optional(),
  partitioned: flag.optional(),
});

export const expressSessionSchema = z.strictObject({
  secret: z.union([text, z.array(text).min(1)], {
    error: 'must be text, or a list of texts; it signs the cookie (`openssl rand -base64 48` makes a good one)',
  }),
  name: text.default('connect.sid'),
  rolling: flag.default(true),
  resave: flag.default(false),
  saveUninitialized: flag.default(false),
  proxy: flag.optional(),
  unset: z.enum(['keep', 'destroy'], { error: 'must be "keep" or "destroy"' }).default('keep'),
  cookie: cookie.prefault({}),
  store: z
    .custom<AliasedSessionOptions>((value) => typeof value === 'object' && value !== null, {
      error: 'must be an object',
    })
    .optional(),
});

export type ResolvedExpressSessionOptions = Readonly<Omit<z.output<typeof expressSessionSchema>, 'store'>> & {
  readonly store: AliasedSessionOptions;
};

/** @throws {ConfigurationError} */
export function resolveExpressSession(
  parsed: z.output<typeof expressSessionSchema> | undefined,
): ResolvedExpressSessionOptions | undefined {
  if (!parsed) return undefined;
  const { store = {}, cookie: given } = parsed;
  // Looked at now, so that a mistake stops the boot and not the first request.
  resolveAliasedSessionOptions(store, 'expressSession.store.');
  return { ...parsed, store, cookie: { ...given, secure: given.secure ?? process.env['NODE_ENV'] === 'production' } };
}
