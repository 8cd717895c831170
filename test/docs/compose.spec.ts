import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { Redis } from 'ioredis';
import { startRedis } from '../support/redis-server.js';
import { readDocument } from './support/markdown.js';

interface Service {
  image?: string;
  build?: string;
  command?: string;
  profiles?: string[];
  environment?: Record<string, string>;
  depends_on?: string[] | Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
  network_mode?: string;
  volumes?: string[];
}

// eslint-disable-next-line @typescript-eslint/no-unsafe-call -- it has no types here
const compose = createRequire(import.meta.url)('js-yaml').load(readDocument('docker-compose.yml')) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};
const { services } = compose;
const inProfile = (profile: string): [string, Service][] =>
  Object.entries(services).filter(([, service]) => service.profiles?.includes(profile));

describe('docker-compose.yml', () => {
  it('runs the sample once Redis is healthy, with a secret that nobody can forget', () => {
    const { sample } = services;
    expect(sample?.build).toBe('.');
    expect(sample?.depends_on).toEqual({ redis: { condition: 'service_healthy' } });
    expect(sample?.environment).toMatchObject({
      REDIS_URL: 'redis://redis:6379',
      SESSION_SECRET: expect.stringMatching(/^\$\{SESSION_SECRET:\?.*openssl rand/),
    });
    expect(readDocument('Dockerfile')).toMatch(/^HEALTHCHECK[^]*\/health/m);
  });

  it('gives the sample only variables that it knows', () => {
    const known = readDocument('src/config/environment.ts');
    for (const name of Object.keys(services['sample']?.environment ?? {})) expect(known).toContain(`${name}: `);
  });

  it('has a Redis that throws nothing out and keeps a journal, with a health check and a volume', () => {
    const { redis } = services;
    expect(redis?.command).toMatch(/--maxmemory-policy noeviction/);
    expect(redis?.command).toMatch(/--appendonly yes/);
    expect(redis?.healthcheck?.test).toEqual(['CMD', 'redis-cli', 'ping']);
    expect(redis?.volumes).toEqual(['redis-data:/data']);
    expect(Object.keys(compose.volumes)).toEqual(['redis-data']);
    expect(redis?.profiles).toBeUndefined();
  });

  it('has all that a Sentinel and a Cluster set-up needs in a profile each', () => {
    const commands = (profile: string): string[] => inProfile(profile).map(([, { command = '' }]) => command);
    expect(commands('sentinel').filter((command) => command.startsWith('redis-server'))).toHaveLength(3);
    expect(commands('sentinel').filter((command) => command.includes('sentinel.sh'))).toHaveLength(3);
    expect(commands('cluster').filter((command) => command.includes('--cluster-enabled yes'))).toHaveLength(6);
    expect(commands('cluster').filter((command) => command.includes('create-cluster.sh'))).toHaveLength(1);
    for (const command of [...commands('sentinel'), ...commands('cluster')].filter((each) =>
      each.startsWith('redis-server'),
    )) {
      expect(command).toContain('--maxmemory-policy noeviction');
      expect(command).toContain('--appendonly yes');
    }
  });

  it('names only services, networks and files that there are', () => {
    for (const { depends_on: others = [], network_mode: network, volumes = [], command = '' } of Object.values(
      services,
    )) {
      for (const other of Array.isArray(others) ? others : Object.keys(others))
        expect(services).toHaveProperty([other]);
      if (network) expect(services).toHaveProperty([network.replace(/^service:/, '')]);
      for (const [file] of command.matchAll(/\/docker\/[\w.-]+/g)) {
        expect(volumes).toContain('./docker:/docker:ro');
        expect(spawnSync('sh', ['-n', `.${file}`]).status).toBe(0);
      }
    }
  });

  it('starts Redis with arguments that Redis takes', async () => {
    const [, ...args] = services['redis']?.command?.split(' ') ?? [];
    const server = await startRedis({ args });
    const client = new Redis(server.url);
    try {
      expect(await client.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
      expect(await client.config('GET', 'appendonly')).toEqual(['appendonly', 'yes']);
    } finally {
      client.disconnect();
      await server.stop();
    }
  });
});
