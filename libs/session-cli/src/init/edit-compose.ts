import { unknownLayout } from './layout.js';
import { edited } from './text-edit.js';

/** Names of compose files, in the order in which docker takes them. */
export const COMPOSE_FILES = ['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml'] as const;

/** As docs/redis.md asks of the server: it keeps what it confirmed, and evicts nothing. */
const SERVICE = [
  'redis:',
  '  image: redis:8-alpine',
  '  command: redis-server --appendonly yes --maxmemory-policy noeviction',
  '  restart: unless-stopped',
  '  ports:',
  "    - '127.0.0.1:6379:6379'",
];

/**
 * Adds a Redis to a compose file, unless it has one.
 *
 * @throws {CommandError} for a file whose services are not a block of lines.
 */
export function withRedisService(path: string, text: string | null): string {
  if (text === null) return `services:\n${block('  ')}`;
  if (/^\s+image:\s*['"]?\S*\b(redis|valkey)\b/m.test(text)) return text;
  const services = /^services:[ \t]*(#.*)?(\r?\n|$)/m.exec(text);
  if (!services)
    return unknownLayout(`${path} has no line "services:". Add a Redis by hand and run again with --no-compose.`);
  const at = services.index + services[0].length;
  const indent = /^(?:[ \t]*(?:#.*)?\r?\n)*([ \t]+)\S/.exec(text.slice(at))?.[1] ?? '  ';
  if (new RegExp(`^${indent}redis:`, 'm').test(text.slice(at)))
    return unknownLayout(`${path} has a service redis with another image. Run again with --no-compose.`);
  return edited(text, [{ at, text: (services[2] === '' ? '\n' : '') + block(indent) }]);
}

function block(indent: string): string {
  return SERVICE.map(
    (line) => `${indent}${line.replace(/^( +)/, (spaces) => indent.repeat(spaces.length / 2))}\n`,
  ).join('');
}
