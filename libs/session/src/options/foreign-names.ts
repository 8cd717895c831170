const TIMEOUTS =
  'a session lives for session.idleTimeout and session.absoluteTimeout, and its cookie with it: until the browser closes, or as long as the session after start(…, { rememberMe: true })';
const KEYS =
  'tokens are signed with a key derived from secrets, or with jwt.keys: [{ kid: "1", alg: "HS256", secret }] or [{ kid: "1", alg: "ES256", privateKey }]';
const TOKEN_TIMES = 'access tokens live for jwt.accessTokenTtl, and end with their session at the latest';
const EXPRESS_SESSION = 'to mount express-session with its own options, use expressSession: { secret, … }';

/** Our equivalents of options of express-session, @nestjs/jwt and similar libraries. */
const NAMES: Readonly<Record<string, string>> = {
  'cookie.maxAge': TIMEOUTS,
  'cookie.expires': TIMEOUTS,
  'session.maxAge': TIMEOUTS,
  'session.ttl': TIMEOUTS,
  'session.expiresIn': TIMEOUTS,
  maxAge: TIMEOUTS,
  ttl: TIMEOUTS,
  expiresIn: TIMEOUTS,
  'cookie.signed': 'the token in the cookie is always signed, with the option secrets',
  'cookie.secret': 'the token in the cookie is signed with the option secrets',
  'session.secret': 'keys are derived from the option secrets, at the top',
  'jwt.secret': KEYS,
  'jwt.secretOrKey': KEYS,
  'jwt.privateKey': KEYS,
  'jwt.publicKey': KEYS,
  'jwt.secretOrKeyProvider': KEYS,
  'jwt.algorithm': KEYS,
  'jwt.algorithms': KEYS,
  'jwt.signOptions': `${TOKEN_TIMES}; issuer and audience are jwt.issuer and jwt.audience`,
  'jwt.verifyOptions':
    'issuer and audience are jwt.issuer and jwt.audience, how far clocks may be off is clockTolerance',
  'jwt.expiresIn': TOKEN_TIMES,
  'jwt.ignoreExpiration': 'an access token that has expired never lets anyone in',
  name: 'the name of the cookie is cookie.name',
  rolling: EXPRESS_SESSION,
  resave: EXPRESS_SESSION,
  saveUninitialized: EXPRESS_SESSION,
};

/** Our equivalent of another library's option, or null for an unknown name. */
export function namedElsewhere(name: string): string | null {
  return Object.hasOwn(NAMES, name) ? (NAMES[name] ?? null) : null;
}
