// node bench/sockets.mjs: how long after the end of a session its sockets close, on the instance that ended it and on another one, and
// for how long ending 2,000 sockets of one user (or as many as the argument says) stalls the process. Needs REDIS_URL. The clients run in
// a process of their own.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { WsAdapter } from '@nestjs/platform-ws';
import { WebSocketGateway } from '@nestjs/websockets';
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';

if (process.argv[2] === 'clients') serveClients();
else await measure();

/** Opens sockets when told, and says when each closed. */
function serveClients() {
  const sockets = [];
  process.on('message', async ({ open, url, cookies }) => {
    if (!open) return process.exit(0);
    await Promise.all(
      cookies.map(
        (cookie) =>
          new Promise((resolve, reject) => {
            const socket = new WebSocket(url, { headers: { cookie } });
            sockets.push(socket);
            socket.once('open', resolve);
            socket.once('error', reject);
            socket.once('close', (code) => process.send({ closed: code, at: Date.now(), cookie }));
          }),
      ),
    );
    process.send({ opened: cookies.length });
  });
}

async function measure() {
  const { SessionModule, SessionService } = await import('nestjs-sessions');
  const { signInAs } = await import('nestjs-sessions/testing');
  const { withSessions } = await import('nestjs-sessions/websockets');
  const options = {
    redis: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379',
    secrets: randomBytes(32).toString('base64'),
    keyPrefix: `bench-${randomBytes(4).toString('hex')}:`,
    session: { maxSessionsPerUser: 1_000 },
    events: { log: false },
  };

  class Gateway {}
  WebSocketGateway()(Gateway);

  const start = async () => {
    class App {}
    Module({ imports: [SessionModule.forRoot(options)], providers: [Gateway] })(App);
    const app = await NestFactory.create(App, { logger: ['error'] });
    app.useWebSocketAdapter(withSessions(new WsAdapter(app), app, { maxPerSession: 20_000 }));
    await app.listen(0, '127.0.0.1');
    return app;
  };
  const [here, there] = [await start(), await start()];
  const clients = fork(fileURLToPath(import.meta.url), ['clients']);
  const closed = [];
  const waiting = [];
  clients.on('message', (message) => {
    if (message.opened) waiting.shift()?.(message);
    else closed.push(message);
  });
  const open = async (app, cookies) => {
    const url = (await app.getUrl()).replace('http', 'ws');
    const opened = new Promise((resolve) => waiting.push(resolve));
    clients.send({ open: true, url, cookies });
    await opened;
  };
  const untilClosed = async (count) => {
    while (closed.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
  };

  for (const [name, app] of [
    ['the instance that ends the session', here],
    ['another instance', there],
  ]) {
    const delays = [];
    const users = await Promise.all(Array.from({ length: 200 }, (_, index) => signInAs(here, `${name}-${index}`)));
    await open(
      app,
      users.map(({ cookie }) => cookie),
    );
    for (const { session } of users) {
      closed.length = 0;
      const at = Date.now();
      await here.get(SessionService).end(session.id);
      await untilClosed(1);
      delays.push(closed[0].at - at);
    }
    delays.sort((a, b) => a - b);
    console.log(`close after the end, on ${name}: median ${delays[100]} ms, p99 ${delays[197]} ms (200 ends)`);
  }

  const user = await signInAs(here, 'many');
  const many = Number(process.argv[2] ?? 2_000);
  for (let opened = 0; opened < many; opened += 100) await open(here, Array(100).fill(user.cookie));
  closed.length = 0;
  const stall = monitorEventLoopDelay({ resolution: 1 });
  stall.enable();
  const at = Date.now();
  await here.get(SessionService).endAll('many');
  await untilClosed(many);
  stall.disable();
  const last = Math.max(...closed.map((each) => each.at)) - at;
  console.log(
    `${many} sockets of one user: all closed after ${last} ms; event loop delayed by ${(stall.max / 1e6).toFixed(0)} ms at most, p99 ${(stall.percentile(99) / 1e6).toFixed(0)} ms`,
  );
  clients.send({ open: false });
  await Promise.all([here.close(), there.close()]);
}
