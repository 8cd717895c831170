import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster, Redis } from 'ioredis';
import { RedisSessionStore } from 'nestjs-sessions';
import { freePort } from '../../scripts/redis-process.mjs';
import { startSentinelRedis } from '../support/redis-sentinels.js';
import { startRedis, startRedisCluster } from '../support/redis-server.js';
import { cli, WHY } from './support/cli.js';

/** Works through the commands on ten sessions of four users, and leaves none. */
async function worksOn(client: Redis | Cluster, flags: string[], redis: string): Promise<void> {
  const store = new RedisSessionStore(client, { commandTimeout: 15_000 });
  const at = { redis };
  try {
    await store.ready();
    for (let n = 0; n < 10; n += 1) await store.create({ userId: `user-${n % 4}`, roles: n === 3 ? ['guest'] : [] });
    expect((await cli(['list', '--count', ...flags], at)).out).toBe('10 sessions\n');
    const stats = JSON.parse((await cli(['stats', '--full', '--json', ...flags], at)).out) as object;
    expect(stats).toMatchObject({ sessions: 10, users: 4 });
    const doctor = await cli(['doctor', '--json', ...flags], at);
    expect((JSON.parse(doctor.out) as { findings: { level: string }[] }).findings).not.toContainEqual(
      expect.objectContaining({ level: 'error' }),
    );
    const ended = await cli(['end', '--where', 'role=guest', '--yes', ...WHY, ...flags], at);
    expect(ended).toEqual({ code: 0, out: '1 session ended.\n', err: '' });
    expect((await cli(['end', '--all', '--yes', ...WHY, ...flags], at)).out).toBe('9 sessions ended.\n');
    expect(await store.count()).toBe(0);
  } finally {
    await store.close();
  }
}

it('--cluster: every command sees all nodes', async () => {
  const cluster = await startRedisCluster({ args: ['--maxmemory-policy', 'noeviction'] });
  const client = new Cluster(cluster.nodes);
  try {
    const [node] = cluster.servers;
    await worksOn(client, ['--cluster'], node?.url ?? '');
    const { out } = await cli(['stats', '--json', '--cluster'], { redis: cluster.servers[1]?.url ?? '' });
    expect(JSON.parse(out)).toMatchObject({ servers: 3 });
    expect((await cli(['stats'], { redis: node?.url ?? '' })).code).toBe(2);
  } finally {
    client.disconnect();
    await cluster.stop();
  }
}, 120_000);

it('--sentinel: the primary of the group, also after a failover', async () => {
  const group = await startSentinelRedis({ replicas: 1 });
  const client = new Redis(group.options);
  try {
    const sentinel = group.sentinels[0]?.url ?? '';
    const flags = ['--sentinel', group.options.name];
    await worksOn(client, flags, sentinel);
    await group.failOver();
    const { host, port } = { host: '127.0.0.1', port: (await group.current()).port };
    const doctor = await cli(['doctor', '--json', ...flags], { redis: sentinel });
    expect(JSON.parse(doctor.out)).toMatchObject({ servers: [{ address: `${host}:${port}` }] });
    const unknown = await cli(['stats', '--sentinel', 'other'], { redis: sentinel });
    expect([unknown.code, unknown.out]).toEqual([2, '']);
  } finally {
    client.disconnect();
    await group.stop();
  }
}, 120_000);

it('--tls and --ca: only a server that the authority vouches for', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cli-tls-'));
  const file = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): unknown => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  for (const name of ['ca', 'other'])
    openssl(
      'req',
      '-x509',
      ...key,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
    );
  openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=server');
  writeFileSync(file('names'), 'subjectAltName=IP:127.0.0.1');
  const signed = ['x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
  openssl(...signed, '-days', '2', '-out', 'server.pem', '-extfile', 'names');
  const port = await freePort();
  const tls = [
    '--tls-cert-file',
    file('server.pem'),
    '--tls-key-file',
    file('server.key'),
    '--tls-ca-cert-file',
    file('ca.pem'),
  ];
  const server = await startRedis({ args: ['--tls-port', String(port), '--tls-auth-clients', 'no', ...tls] });
  const client = new Redis({ host: '127.0.0.1', port, tls: { ca: readFileSync(file('ca.pem')) } });
  try {
    await worksOn(client, ['--ca', file('ca.pem')], `redis://127.0.0.1:${port}`);
    const secure = `rediss://127.0.0.1:${port}`;
    expect((await cli(['stats', '--ca', file('ca.pem')], { redis: secure })).code).toBe(0);
    const refused = await cli(['stats', '--ca', file('other.pem')], { redis: secure });
    expect([refused.code, refused.out]).toEqual([2, '']);
    expect(refused.err).toMatch(/certificate/);
    expect((await cli(['stats', '--ca', file('none.pem')], { redis: secure })).err).toContain('ENOENT');
  } finally {
    client.disconnect();
    await server.stop();
    rmSync(folder, { recursive: true });
  }
}, 120_000);
