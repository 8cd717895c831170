// One instance of an application that does nothing but sweep: for tests that kill it. Says when it listens.
//   node sweeping-process.mjs <url of Redis> <key prefix> <sweeper interval>
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { RedisSessionStore, SessionModule } from 'nestjs-sessions';

const [url = '', keyPrefix = '', interval = ''] = process.argv.slice(2);
// What ended is forgotten soon, so that Redis is empty at the end.
const store = new RedisSessionStore(new Redis(url), { keyPrefix, tombstoneTtl: 500, commandTimeout: 5_000 });
/** @type {import('nestjs-sessions').SessionModuleOptions} */
const options = {
  store,
  secrets: 'a secret of the process that sweeps sessions',
  sweeper: { interval: /** @type {`${number}ms`} */ (interval) },
  events: { log: false },
};
await NestFactory.createApplicationContext(SessionModule.forRoot(options), { logger: false });
process.stdout.write('ready\n');
// The sweeper's timer keeps no process alive.
setInterval(() => undefined, 60_000);
