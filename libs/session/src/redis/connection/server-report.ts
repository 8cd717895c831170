import type { Redis } from 'ioredis';
import type { StoreFinding } from '../../ports/session-store.js';

/** Replication lag from which a warning is logged, bytes. */
const LAG = 1_000_000;
/** Share of `maxmemory` from which a warning is logged. */
const FULL = 0.9;

/** A finding that an operator should know, with its fix. */
export interface ServerFinding extends StoreFinding {
  /** Whether it can make the server forget a revocation. */
  readonly forgets: boolean;
}

/** The report on one server. */
export interface ServerReport {
  readonly version: string;
  readonly role: string;
  readonly evictionPolicy: string;
  readonly persistence: 'aof' | 'rdb' | 'none' | 'unknown';
  /** Bytes. */
  readonly usedMemory: number;
  /** Bytes; 0 for no limit. */
  readonly maxMemory: number;
  readonly findings: readonly ServerFinding[];
}

/**
 * Reads INFO of a server and lists its problems.
 *
 * @throws the error of the client.
 */
export async function reportOn(server: Redis): Promise<ServerReport> {
  const info = new Map<string, string>();
  for (const line of String(await server.info()).split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) info.set(line.slice(0, colon), line.slice(colon + 1));
  }
  // Often not permitted; INFO does not say whether snapshots are configured.
  const save: unknown = await server.config('GET', 'save').catch(() => null);
  if (Array.isArray(save)) info.set('save', String(save[1]));
  return evaluate(info);
}

/** The findings in the output of INFO. */
export function evaluate(info: ReadonlyMap<string, string>): ServerReport {
  const text = (name: string): string => info.get(name) ?? '';
  const number = (name: string): number => Number(info.get(name) ?? 0);
  const findings: ServerFinding[] = [];
  const find = (level: ServerFinding['level'], forgets: boolean, words: string): void => {
    findings.push({ level, forgets, text: words });
  };
  const [major = 0, minor = 0] = text('redis_version').split('.').map(Number);
  if (info.has('redis_version') && (major < 6 || (major === 6 && minor < 2)))
    find('error', false, `Redis ${text('redis_version')} is too old: use 6.2 or later, or Valkey.`);
  if (text('role') === 'slave')
    find('error', true, 'The server is a replica: connect to the primary, or through Sentinel.');
  const policy = text('maxmemory_policy');
  if (policy !== '' && policy !== 'noeviction')
    find(
      'error',
      true,
      `maxmemory-policy is ${policy}: under memory pressure Redis silently deletes sessions and revoked tokens. Run CONFIG SET maxmemory-policy noeviction, and set it in redis.conf.`,
    );
  const persistence = persistenceOf(info);
  if (persistence === 'none')
    find(
      'warning',
      true,
      'Nothing is persisted: a restart forgets all sessions and all revoked tokens. Set appendonly yes.',
    );
  if (persistence === 'rdb')
    find(
      'warning',
      true,
      'Only snapshots are persisted: a restart brings back sessions that ended since the last snapshot. Set appendonly yes.',
    );
  if (text('rdb_last_bgsave_status') === 'err' || text('aof_last_write_status') === 'err')
    find('error', true, 'Redis cannot write to its disk: it may refuse writes (MISCONF). Check its disk and its log.');
  const limit = number('maxmemory');
  if (limit > 0 && number('used_memory') > FULL * limit)
    find(
      'warning',
      false,
      `Memory is ${Math.round((100 * number('used_memory')) / limit)} % full: once it is full, sign-ins are refused (503). Raise maxmemory.`,
    );
  for (const [name, value] of info) {
    const offset = /^slave\d+$/.test(name) ? Number(/offset=(\d+)/.exec(value)?.[1] ?? 0) : null;
    if (offset !== null && number('master_repl_offset') - offset > LAG)
      find(
        'warning',
        true,
        `A replica lags by ${number('master_repl_offset') - offset} bytes: a failover to it loses these writes.`,
      );
  }
  return {
    version: text('redis_version'),
    role: text('role'),
    evictionPolicy: policy,
    persistence,
    usedMemory: number('used_memory'),
    maxMemory: limit,
    findings,
  };
}

function persistenceOf(info: ReadonlyMap<string, string>): ServerReport['persistence'] {
  if (!info.has('aof_enabled')) return 'unknown';
  if (info.get('aof_enabled') === '1') return 'aof';
  const save = info.get('save');
  if (save !== undefined) return save === '' ? 'none' : 'rdb';
  return 'unknown';
}

/** The commands that a Redis user needs, in ACL syntax. A test runs against a server with exactly these. */
export const SMALLEST_RIGHTS =
  '+info +time +role +eval +evalsha +subscribe +unsubscribe +publish +ping +hmget +hgetall +hget +hset +hdel +hkeys +hlen +hexists +type +exists +set +getex +zadd +zrem +zscore +zrange +zrangebyscore +zcount +pttl +pexpire';

/**
 * Lists the commands that our scripts may not run. Each is tried on a key that does not exist, so that nothing changes,
 * and inside a script, because permissions are checked there as well.
 */
export const RIGHTS_PROBE = `
local key, channel = KEYS[1], ARGV[1]
local tries = {
  { 'HMGET', key, 'f' }, { 'HGET', key, 'f' }, { 'HKEYS', key }, { 'HLEN', key }, { 'HEXISTS', key, 'f' }, { 'HDEL', key, 'f' },
  { 'TYPE', key }, { 'EXISTS', key }, { 'SET', key, '', 'XX' }, { 'GETEX', key },
  { 'ZADD', key, 'XX', '0', 'm' }, { 'ZREM', key, 'm' }, { 'ZSCORE', key, 'm' },
  { 'ZRANGEBYSCORE', key, '0', '0' }, { 'PTTL', key }, { 'PEXPIRE', key, '1' }, { 'PUBLISH', channel, '' },
}
local missing = {}
for _, try in ipairs(tries) do
  local answer = redis.pcall(unpack(try))
  local text = type(answer) == 'table' and answer.err or ''
  -- The wording differs between versions.
  if string.find(text, 'NOPERM') or string.find(text, "can't ", 1, true) or string.find(text, 'o permissions') then
    missing[#missing + 1] = string.lower(try[1])
  end
end
return missing`;
