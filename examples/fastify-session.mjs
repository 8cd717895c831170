// @fastify/session with its sessions in the user's record.
import fastifyCookie from '@fastify/cookie';
import fastifySession from '@fastify/session';
import fastify from 'fastify';
import { MemorySessionStore } from 'nestjs-sessions';
import { SessionFastifyStore } from 'nestjs-sessions/fastify';
import { isRight, redis, secret, serve } from './support.mjs';

const store = redis
  ? new SessionFastifyStore({ client: redis })
  : new SessionFastifyStore({ store: new MemorySessionStore(), sweepInterval: '30s' });

const app = fastify();
await app.register(fastifyCookie);
await app.register(fastifySession, {
  store,
  secret,
  saveUninitialized: false,
  cookie: { secure: process.env.NODE_ENV === 'production', maxAge: 24 * 60 * 60_000, sameSite: 'lax' },
});

app.post('/login', async (request, reply) => {
  const { name, password } = request.body ?? {};
  if (!isRight(name, password)) return reply.code(401).send();
  // A new id at sign-in; the store ends the old session, which @fastify/session leaves in place.
  await request.session.regenerate();
  request.session.userId = name;
  return reply.code(204).send();
});

app.get('/me', async (request, reply) => {
  const name = request.session.userId;
  return name ? { name } : reply.code(401).send();
});

app.post('/logout', async (request, reply) => {
  await request.session.destroy();
  return reply.code(204).send();
});

app.post('/logout-everywhere', async (request, reply) => {
  const name = request.session.userId;
  return name ? { ended: await store.sessions.destroyAll(name) } : reply.code(401).send();
});

serve(
  async (port, listening) => {
    await app.listen({ port, host: '127.0.0.1' });
    listening(app.server.address().port);
  },
  async () => {
    await app.close();
    await store.close();
  },
);
