import 'reflect-metadata';
import { networkInterfaces } from 'node:os';
import { Logger } from '@nestjs/common';
import { createApp } from './create-app.js';
import { ENVIRONMENT, type Environment, EnvironmentError } from './config/environment.js';

const logger = new Logger('Sample');
/** How long the end of the process may take after a signal, ms. */
const LONGEST_SHUTDOWN = 1_800;

try {
  const app = await createApp(process.env);
  endInTime();
  const { port, redis } = app.get<Environment>(ENVIRONMENT);
  await app.listen(port, anyAddress());
  if (redis === undefined) {
    logger.warn(
      'Sessions are kept in the memory of this process and end with it. Set REDIS_URL to keep them on Redis.',
    );
  }
  logger.log(`Listening on ${(await app.getUrl()).replace(/\[::1?\]|0\.0\.0\.0/, 'localhost')}`);
} catch (error) {
  // The message of a fixable error says how to fix it; for other errors the stack is more useful.
  const isFixable = error instanceof EnvironmentError || (error instanceof Error && 'code' in error);
  console.error(isFixable ? error.message : error);
  process.exit(1);
}

/** Process managers kill what goes on after a signal; Nest has ended everything long before, unless something hangs. */
function endInTime(): void {
  for (const [signal, number] of [
    ['SIGTERM', 15],
    ['SIGINT', 2],
  ] as const)
    process.once(signal, () => setTimeout(() => process.exit(128 + number), LONGEST_SHUTDOWN).unref());
}

/** By default Fastify listens on localhost only, which is unreachable in a container. */
function anyAddress(): string {
  const addresses = Object.values(networkInterfaces()).flat();
  return addresses.some((address) => address?.family === 'IPv6') ? '::' : '0.0.0.0';
}
