import { createPublicKey, hash } from 'node:crypto';
import type { JwtKeyOptions, SessionModuleOptions } from 'nestjs-sessions';
import type { Metrics } from '../metrics/metrics.js';
import type { Environment } from './environment.js';

/** Issuer and audience of access tokens. Verifiers compare both exactly. */
const ISSUER = 'https://sample.example.com';
const AUDIENCE = 'https://sample.example.com/api';

/** The library's options from the environment. Omitted options keep the library's defaults. */
export function sessionOptions(environment: Environment, metrics?: Metrics): SessionModuleOptions {
  const { redis, secrets, idleTimeout, absoluteTimeout, refreshGrace, nearCache, production, jwtPrivateKey } =
    environment;
  const { deviceBound, dpop } = environment;
  return {
    keyPrefix: environment.keyPrefix,
    ...(redis !== undefined && { redis }),
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
      // Not required: the page signs in for the cookie, and gets tokens beside it that it does not use.
      ...(dpop && { dpop: 'optional' }),
    },
    // Browsers keep a Secure cookie, and so the __Host- prefix, only with https.
    ...(!production && { cookie: { name: 'session', secure: false } }),
    // A browser without a device id is recognised by a cookie: signing in there again replaces its session.
    device: { cookie: true },
    // A browser proves its device for one session at a time.
    ...(!deviceBound && { accounts: true }),
    history: true,
    ...(metrics && { telemetry: { meterProvider: metrics.meterProvider } }),
    ...(nearCache !== undefined && { nearCache: { maxStale: nearCache } }),
    ...(deviceBound && { deviceBound }),
  };
}

/**
 * The key's id is a digest of its public half, so that every instance uses the same id and another key gets another
 * one.
 */
function signingKey(privateKey: string): JwtKeyOptions {
  const der = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return { kid: hash('sha256', der, 'base64url').slice(0, 12), alg: 'ES256', privateKey };
}
