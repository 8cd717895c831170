import 'reflect-metadata';
import { networkInterfaces } from 'node:os';
import { Logger } from '@nestjs/common';
import { createApp } from './create-app.js';
import { ENVIRONMENT, type Environment, EnvironmentError } from './config/environment.js';

const logger = new Logger('Sample');

try {
  const app = await createApp(process.env);
  const { port, redisUrl } = app.get<Environment>(ENVIRONMENT);
  await app.listen(port, anyAddress());
  if (redisUrl === undefined) {
    logger.warn(
      'Sessions are kept in the memory of this process and end with it. Set REDIS_URL to keep them on Redis.',
    );
  }
  logger.log(`Listening on ${(await app.getUrl()).replace(/\[::1?\]|0\.0\.0\.0/, 'localhost')}`);
} catch (error) {
  // What to mend is in the message; of everything else the stack tells more.
  const isMendable = error instanceof EnvironmentError || (error instanceof Error && 'code' in error);
  console.error(isMendable ? error.message : error);
  process.exit(1);
}

/** Fastify alone would listen to this machine and nobody else, so that nothing reached it in a container. */
function anyAddress(): string {
  const addresses = Object.values(networkInterfaces()).flat();
  return addresses.some((address) => address?.family === 'IPv6') ? '::' : '0.0.0.0';
}
