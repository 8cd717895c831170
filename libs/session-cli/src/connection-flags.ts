import { readFileSync } from 'node:fs';
import { Option, type Command } from 'commander';
import type { SessionAdminConnection } from 'nestjs-sessions/admin';
import { CommandError, EXIT } from './exit-codes.js';

/** The options that say where the sessions are. */
export interface ConnectionFlags {
  redis: string;
  prefix: string;
  tenant: string;
  tls?: boolean;
  ca?: string;
  cluster?: boolean;
  sentinel?: string;
}

/** Adds the options to a command. */
export function addConnectionFlags(command: Command): Command {
  return command
    .addOption(
      new Option('--redis <url>', 'the Redis of the application; a password belongs in the variable')
        .env('REDIS_URL')
        .default('redis://localhost:6379'),
    )
    .addOption(new Option('--prefix <prefix>', 'the option keyPrefix of the application').default('session:'))
    .addOption(
      new Option('--tenant <name>', 'the tenant whose sessions are meant').default('', 'those without a tenant'),
    )
    .option('--tls', 'connect with TLS, as for a rediss: URL')
    .option('--ca <file>', 'certificate authority of the server, PEM; implies --tls')
    .option('--cluster', 'the URL is that of a node of a Redis Cluster')
    .option('--sentinel <group>', 'the URL is that of a Sentinel that watches this group');
}

/**
 * How to connect.
 *
 * @throws {CommandError} for a URL that is none; its text is not repeated, because it may contain a password.
 */
export function connectionOf(flags: ConnectionFlags): SessionAdminConnection {
  const { hostname, port, username, password, pathname, protocol } = urlOf(flags.redis);
  const address = { host: hostname.replace(/^\[|\]$/g, ''), ...(port !== '' && { port: Number(port) }) };
  const tls = flags.tls === true || flags.ca !== undefined || protocol === 'rediss:';
  const login = {
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
    ...(tls && { tls: flags.ca === undefined ? {} : { ca: textOf(flags.ca) } }),
  };
  const db = /^\/(\d+)$/.exec(pathname)?.[1];
  const rest = { keyPrefix: flags.prefix, tenant: flags.tenant };
  if (flags.cluster === true) {
    return { ...rest, redis: { cluster: { nodes: [address], options: { redisOptions: login } } } };
  }
  const selected = { ...login, ...(db !== undefined && { db: Number(db) }) };
  if (flags.sentinel !== undefined) {
    return { ...rest, redis: { ...selected, sentinels: [{ port: 26379, ...address }], name: flags.sentinel } };
  }
  return { ...rest, redis: { ...selected, ...address } };
}

function urlOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url && /^rediss?:$/.test(url.protocol) && url.hostname !== '' && /^(\/\d*)?$/.test(url.pathname)) {
    if ([url.username, url.password].every(isEncoded)) return url;
  }
  throw new CommandError(
    '--redis: must be a URL such as redis://user:password@host:6379/0, or rediss: for TLS.',
    EXIT.usage,
  );
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(`--ca: ${error instanceof Error ? error.message : String(error)}`, EXIT.failed);
  }
}

function isEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
