// A Redis of the benchmark's own on a free port of the loopback, without persistence.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { Redis } from 'ioredis';

export async function startServer(args = []) {
  const port = await freePort();
  const binary = process.env.TEST_REDIS_SERVER ?? 'redis-server';
  const child = spawn(
    binary,
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', ...args],
    { stdio: 'ignore' },
  );
  const failure = new Promise((_, reject) => {
    child.once('error', () =>
      reject(new Error(`${binary} did not start: install redis-server, or name one in TEST_REDIS_SERVER`)),
    );
  });
  const client = new Redis({ port, host: '127.0.0.1', lazyConnect: true, retryStrategy: () => 50 });
  client.on('error', () => undefined);
  await Promise.race([untilUp(client), failure]);
  client.disconnect();
  const stop = async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  };
  return { port, url: `redis://127.0.0.1:${port}`, stop };
}

async function untilUp(client) {
  await client.connect().catch(() => new Promise((resolve) => client.once('ready', resolve)));
  await client.ping();
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
