// Express without Nest and without express-session: the library's own cookie and its tokens.
import express from 'express';
import { MemorySessionStore, RedisSessionStore, sessionOf } from 'nestjs-sessions';
import { requireSession, sessionMiddleware, validateToken } from 'nestjs-sessions/standalone';
import { sessionErrorHandler } from 'nestjs-sessions/express';
import { isRight, redis, secret, serveExpress } from './support.mjs';

const store = redis ? new RedisSessionStore(redis) : new MemorySessionStore();
const sessions = await sessionMiddleware({
  store,
  secrets: secret,
  // Over plain http on this machine; leave it out where you serve https.
  cookie: { name: 'session', secure: false },
  jwt: { issuer: 'https://example.com', audience: 'https://api.example.com' },
});

const app = express();
app.use(express.json());
app.use('/api', validateToken(sessions.tokens));
app.use(sessions);

app.post('/login', async (req, res) => {
  const { name, password } = req.body ?? {};
  if (!isRight(name, password)) return res.sendStatus(401);
  const { tokens } = await sessions.of(req, res).start({ userId: name }, { transport: 'both' });
  res.json({ accessToken: tokens.accessToken });
});

app.get('/', (req, res) => {
  res.send(sessionOf(req) ? `Hello ${sessionOf(req).userId}` : 'Hello stranger');
});
app.get('/me', requireSession, (req, res) => res.json({ name: sessionOf(req).userId }));
app.get('/admin', requireSession({ roles: ['admin'] }), (_req, res) => res.sendStatus(204));
app.get('/api/me', (req, res) => res.json({ name: req.user.id }));

app.post('/logout', async (req, res) => {
  await sessions.of(req, res).end();
  res.sendStatus(204);
});
app.post('/logout-everywhere', requireSession, async (req, res) => {
  res.json({ ended: await sessions.sessions.endAll(sessionOf(req).userId) });
});
app.use(sessionErrorHandler());

serveExpress(app, async () => {
  await sessions.close();
  await store.close();
});
