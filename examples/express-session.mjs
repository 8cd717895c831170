// express-session with its sessions in the user's record: they can be listed, limited and ended.
import express from 'express';
import session from 'express-session';
import { MemorySessionStore } from 'nestjs-sessions';
import { saveBeforeAnswer, SessionExpressStore, sessionErrorHandler } from 'nestjs-sessions/express';
import { isRight, redis, secret, serveExpress } from './support.mjs';

const store = redis
  ? new SessionExpressStore({ client: redis })
  : new SessionExpressStore({ store: new MemorySessionStore(), sweepInterval: '30s' });

const app = express();
app.use(express.json());
app.use(
  session({
    store,
    secret,
    resave: false,
    saveUninitialized: false,
    rolling: true,
    cookie: { maxAge: 24 * 60 * 60_000, sameSite: 'lax' },
  }),
);
app.use(saveBeforeAnswer());

app.post('/login', (req, res, next) => {
  const { name, password } = req.body ?? {};
  if (!isRight(name, password)) return res.sendStatus(401);
  // A new id at sign-in, or whoever planted the old one would be signed in as well.
  req.session.regenerate((error) => {
    if (error) return next(error);
    req.session.userId = name;
    res.sendStatus(204);
  });
});

app.get('/me', (req, res) => {
  if (!req.session.userId) return res.sendStatus(401);
  res.json({ name: req.session.userId });
});

// What no other store of express-session can: who is signed in where.
app.get('/sessions', async (req, res) => {
  if (!req.session.userId) return res.sendStatus(401);
  const sessions = await store.sessions.getActiveSessions(req.session.userId);
  res.json(sessions.map(({ id, createdAt, metadata }) => ({ id, createdAt, userAgent: metadata?.userAgent })));
});

app.post('/logout', (req, res, next) => {
  req.session.destroy((error) => (error ? next(error) : res.sendStatus(204)));
});

app.post('/logout-everywhere', async (req, res) => {
  if (!req.session.userId) return res.sendStatus(401);
  res.json({ ended: await store.sessions.destroyAll(req.session.userId) });
});

// 503 with Retry-After when Redis cannot be asked, 413 for a session that is too large.
app.use(sessionErrorHandler());

serveExpress(app, () => store.close());
