// Passport's own sessions, with passport-local.
import express from 'express';
import session from 'express-session';
import { MemorySessionStore } from 'nestjs-sessions';
import { saveBeforeAnswer, SessionExpressStore, sessionErrorHandler } from 'nestjs-sessions/express';
import passport from 'passport';
import { Strategy } from 'passport-local';
import { isRight, redis, secret, serveExpress } from './support.mjs';

passport.use(new Strategy((name, password, done) => done(null, isRight(name, password) ? { id: name } : false)));
passport.serializeUser((user, done) => done(null, user.id));
passport.deserializeUser((id, done) => done(null, { id }));

const store = redis
  ? new SessionExpressStore({ client: redis })
  : new SessionExpressStore({ store: new MemorySessionStore(), sweepInterval: '30s' });

const app = express();
app.use(express.json());
app.use(
  session({ store, secret, resave: false, saveUninitialized: false, rolling: true, cookie: { maxAge: 86_400_000 } }),
);
app.use(saveBeforeAnswer());
// The user is found in session.passport.user, where passport puts what serializeUser gave.
app.use(passport.session());

app.post('/login', passport.authenticate('local'), (req, res) => res.json(req.user));
app.get('/me', (req, res) => (req.isAuthenticated() ? res.json(req.user) : res.sendStatus(401)));
app.post('/logout', (req, res, next) => req.logout((error) => (error ? next(error) : res.sendStatus(204))));
app.post('/logout-everywhere', async (req, res) => {
  if (!req.isAuthenticated()) return res.sendStatus(401);
  res.json({ ended: await store.sessions.destroyAll(req.user.id) });
});
app.use(sessionErrorHandler());

serveExpress(app, () => store.close());
