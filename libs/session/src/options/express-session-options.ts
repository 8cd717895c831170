import * as z from './schema.js';
import { type FrameworkSessionOptions, resolveFrameworkSessionOptions } from './framework-session-options.js';
import { assertCookieCombination, LONGEST_COOKIE_AGE } from './cookie-attributes.js';
import { notADuration, parseDuration, type Duration } from './duration.js';
import { refuse } from './option-error.js';
import { holdsKeyPair } from './secret-strength.js';
import { strongSecret } from './session-keys.js';

/** The cookie of express-session. */
export interface ExpressSessionCookieOptions {
  /** Lifetime from the latest response, at most 400 days. Null: until the browser closes. Default 24 hours. */
  maxAge?: Duration | null;
  /** `auto`: like the connection. Default: true if NODE_ENV is `production`. */
  secure?: boolean | 'auto';
  /** Always true: scripts must not read the session id. */
  httpOnly?: true;
  /** Default `lax`. */
  sameSite?: 'lax' | 'strict' | 'none' | boolean;
  /** Default `/`. */
  path?: string;
  /** Default: the host alone. */
  domain?: string;
  /** Default false. */
  partitioned?: boolean;
}

/** Mounts express-session on the application, with its sessions in the module's store. Only on Express. */
export interface ExpressSessionOptions {
  /**
   * Signs the cookie. The first secret signs and has at least 32 bytes; all of them verify, and the others may be
   * shorter, so that a migration signs nobody out.
   */
  secret: string | string[];
  /** Of the cookie. Default `connect.sid`. */
  name?: string;
  /** Sets the cookie at each response, so that the session lasts as long as it is used. Default true. */
  rolling?: boolean;
  /** Saves sessions that did not change. Default false. */
  resave?: boolean;
  /** Saves new sessions without data. Default false. */
  saveUninitialized?: boolean;
  /** Whether to trust `X-Forwarded-Proto`. Default: Express's setting. */
  proxy?: boolean;
  /** What `req.session = null` does. Default `keep`. */
  unset?: 'keep' | 'destroy';
  cookie?: ExpressSessionCookieOptions;
  /** How sessions are kept: who their user is, what connect-redis left, and more. */
  store?: FrameworkSessionOptions;
}

const text = z.string({ error: 'must be text' }).min(1, { error: 'must not be empty' });
const flag = z.boolean({ error: 'must be true or false' });

const cookie = z.strictObject({
  maxAge: z
    .unknown()
    .transform((value, context) => {
      if (value === undefined || value === null) return value;
      const duration = parseDuration(value);
      if (duration !== null) return Math.min(duration, LONGEST_COOKIE_AGE);
      context.addIssue({ code: 'custom', message: notADuration(value) });
      return z.NEVER;
    })
    .optional()
    .transform((value) => (value === undefined ? 24 * 60 * 60_000 : value)),
  secure: z.union([z.boolean(), z.literal('auto')], { error: 'must be true, false or "auto"' }).optional(),
  httpOnly: z
    .literal(true, { error: 'cannot be switched off: a script that can read the cookie can steal the session' })
    .default(true),
  sameSite: z
    .union([z.boolean(), z.enum(['lax', 'strict', 'none'])], { error: 'must be "lax", "strict" or "none"' })
    .default('lax'),
  path: text.default('/'),
  domain: text.optional(),
  partitioned: flag.optional(),
});

export const expressSessionSchema = z.strictObject({
  secret: z.union([text, z.array(text).min(1, { error: 'must not be empty' })], {
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
    .custom<FrameworkSessionOptions>((value) => typeof value === 'object' && value !== null, {
      error: 'must be an object',
    })
    .optional(),
});

export type ResolvedExpressSessionOptions = Readonly<Omit<z.output<typeof expressSessionSchema>, 'store'>> & {
  readonly store: FrameworkSessionOptions;
};

/**
 * Checked at boot, so that a mistake stops the boot instead of failing the first request.
 *
 * @throws {ConfigurationError}
 */
export function resolveExpressSession(
  parsed: z.output<typeof expressSessionSchema> | undefined,
): ResolvedExpressSessionOptions | undefined {
  if (!parsed) return undefined;
  const { store = {}, cookie: given, secret, name } = parsed;
  resolveFrameworkSessionOptions(store, 'expressSession.store.');
  const [signing, ...recognised] = Array.isArray(secret) ? secret : [secret];
  const option = Array.isArray(secret) ? 'expressSession.secret[0]' : 'expressSession.secret';
  strongSecret(signing ?? '', option);
  recognised.forEach((old, index) => {
    if (holdsKeyPair(Buffer.from(old))) refuse(`expressSession.secret[${index + 1}]`, 'holds a public or private key');
  });
  const secure = given.secure ?? process.env['NODE_ENV'] === 'production';
  assertCookieCombination('expressSession.', {
    ...given,
    name,
    // `auto` follows the connection: over https every combination is valid.
    secure: secure !== false,
    sameSite: given.sameSite === true ? 'strict' : given.sameSite === false ? undefined : given.sameSite,
    partitioned: given.partitioned ?? false,
    fix: 'set expressSession.cookie.secure: true, or "auto"',
  });
  return { ...parsed, store, cookie: { ...given, secure } };
}
