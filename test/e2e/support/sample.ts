import { randomBytes } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { INestApplication, LoggerService, Type } from '@nestjs/common';
import type { AppOverrides } from '../../../src/create-app.js';
import { createApp } from '../../../src/create-app.js';
import { Browser } from './browser.js';

export const ADAPTERS = ['express', 'fastify'] as const;
export const STORES = ['memory', 'redis'] as const;
export type AdapterName = (typeof ADAPTERS)[number];
export type StoreName = (typeof STORES)[number];

/** Both platforms on both stores, for `describe.each`. */
export const STACKS = ADAPTERS.flatMap((adapter) => STORES.map((store) => ({ adapter, store })));

/** 32 bytes and more, the same for every instance of a test. */
export const SECRET = 'an end-to-end secret that nobody uses elsewhere';

/** The command timeout of samples that say nothing of it, ms. */
const PATIENCE = 10_000;

export interface SampleSettings {
  adapter?: AdapterName;
  store?: StoreName;
  env?: Record<string, string>;
  options?: AppOverrides['options'];
}

/** Everything that the application logged in this test file, and every cookie it handed out. */
export const logs: string[] = [];
const tokens = new Set<string>();

const capture =
  (level: string) =>
  (message: unknown, ...more: unknown[]): void => {
    logs.push([level, message, ...more].map(textOf).join(' '));
  };

const logger: LoggerService = {
  fatal: capture('fatal'),
  error: capture('error'),
  warn: capture('warn'),
  log: capture('log'),
  debug: capture('debug'),
  verbose: capture('verbose'),
};

function textOf(value: unknown): string {
  if (value instanceof Error)
    return `${value.stack ?? value.message} ${JSON.stringify({ ...value })} ${textOf(value.cause ?? '')}`;
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
}

/** Has `expectNoTokenInLogs` look for this one as well. */
export function noteToken(token: string): void {
  tokens.add(token);
}

/** ASVS 16.2.5: fails when a token, or the secret part of one, stands in the logs. */
export function expectNoTokenInLogs(more = ''): void {
  const written = [...logs, more].join('\n');
  for (const token of tokens) {
    // Of a cookie or refresh token the second part lets in, of an access token the last completes it.
    const [, secret = token, , tag] = token.split('.');
    const isJwt = tag === undefined;
    if (written.includes(token) || (!isJwt && written.includes(secret)))
      throw new Error(`the logs hold the token ${token}`);
  }
}

export function redisUrl(): string {
  const url = process.env['TEST_REDIS_URL'];
  if (!url) throw new Error('TEST_REDIS_URL is not set: run the tests by `npm test`, which starts a Redis');
  return url;
}

export function randomPrefix(): string {
  return `e2e-${randomBytes(6).toString('hex')}:`;
}

/** The variables for a sample on Redis; those for the embedded store are none at all. */
export function variables({ adapter = 'express', store = 'memory', env = {} }: SampleSettings): Record<string, string> {
  return {
    HTTP_ADAPTER: adapter,
    LOG_LEVEL: 'verbose',
    ...(store === 'redis' && { REDIS_URL: redisUrl(), SESSION_SECRET: SECRET, KEY_PREFIX: randomPrefix() }),
    ...env,
  };
}

/** The sample in this process, on a socket of its own. */
export class Sample {
  private constructor(
    readonly app: INestApplication,
    readonly url: string,
  ) {}

  static async start(settings: SampleSettings = {}): Promise<Sample> {
    const adjust = settings.options ?? ((options) => options);
    const app = await createApp(variables(settings), {
      logger,
      // A machine that runs other suites beside must not look like a Redis that is down.
      options: (options) => adjust({ commandTimeout: PATIENCE, ...options }),
    });
    try {
      await app.listen(0, '127.0.0.1');
    } catch (error) {
      await app.close();
      throw error;
    }
    const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
    return new Sample(app, `http://127.0.0.1:${port}`);
  }

  browser(headers?: Record<string, string>): Browser {
    return newBrowser(this.url, headers);
  }

  get<T>(token: Type<T> | (abstract new (...args: never[]) => T)): T {
    return this.app.get<T>(token, { strict: false });
  }

  async close(): Promise<void> {
    await this.app.close();
    expectNoTokenInLogs();
  }
}

export function newBrowser(url: string, headers?: Record<string, string>): Browser {
  return new Browser(url, headers, noteToken);
}
