import { createPublicKey, hash } from 'node:crypto';
import type { JwtKeyOptions, SessionModuleOptions } from 'nestjs-sessions';
import type { Metrics } from '../metrics/metrics.js';
import type { Environment } from './environment.js';

/** Who issues access tokens, and for which service they are. Verifiers compare both, character by character. */
const ISSUER = 'https://sample.example.com';
const AUDIENCE = 'https://sample.example.com/api';

/** What the library gets to know of the environment. What is left out has the library's default. */
export function sessionOptions(environment: Environment, metrics?: Metrics): SessionModuleOptions {
  const { redisUrl, secrets, idleTimeout, absoluteTimeout, refreshGrace, nearCache, production, jwtPrivateKey } =
    environment;
  return {
    keyPrefix: environment.keyPrefix,
    ...(redisUrl !== undefined && { redis: redisUrl }),
    ...(secrets !== undefined && { secrets }),
    session: {
      ...(idleTimeout !== undefined && { idleTimeout }),
      ...(absoluteTimeout !== undefined && { absoluteTimeout }),
    },
    jwt: {
      issuer: ISSUER,
      audience: AUDIENCE,
      ...(refreshGrace !== undefined && { refreshGrace }),
      ...(jwtPrivateKey !== undefined && { keys: [signingKey(jwtPrivateKey)] }),
    },
    // Browsers keep a Secure cookie, and with it the __Host- prefix, only for https.
    ...(!production && { cookie: { name: 'session', secure: false } }),
    // A browser that names no device is told again by its own cookie: signing in there again replaces its session.
    device: { cookie: true },
    history: true,
    ...(metrics && { telemetry: { meterProvider: metrics.meterProvider } }),
    ...(nearCache !== undefined && { nearCache: { maxStale: nearCache } }),
  };
}

/** Named after its public half, so that every instance names it alike and another key has another name. */
function signingKey(privateKey: string): JwtKeyOptions {
  const der = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return { kid: hash('sha256', der, 'base64url').slice(0, 12), alg: 'ES256', privateKey };
}
