import type { SessionModuleOptions } from 'nestjs-sessions';
import type { Environment } from './environment.js';

/** What the library gets to know of the environment. What is left out has the library's default. */
export function sessionOptions(environment: Environment): SessionModuleOptions {
  const { redisUrl, secrets, idleTimeout, absoluteTimeout, nearCache, production } = environment;
  return {
    keyPrefix: environment.keyPrefix,
    ...(redisUrl !== undefined && { redis: redisUrl }),
    ...(secrets !== undefined && { secrets }),
    session: {
      ...(idleTimeout !== undefined && { idleTimeout }),
      ...(absoluteTimeout !== undefined && { absoluteTimeout }),
    },
    // Browsers keep a Secure cookie, and with it the __Host- prefix, only for https.
    ...(!production && { cookie: { name: 'session', secure: false } }),
    ...(nearCache !== undefined && { nearCache: { maxStale: nearCache } }),
  };
}
