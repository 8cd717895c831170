// What the examples have in common, and an application of your own has otherwise: users, a client, a port.
import { Redis } from 'ioredis';
import { timingSafeEqual } from 'node:crypto';

export const secret = process.env.SESSION_SECRET ?? 'for this example alone, 32 bytes and more';

/** The client, or undefined where sessions are kept in memory. */
export const redis = process.env.REDIS_URL ? new Redis(process.env.REDIS_URL) : undefined;

const passwords = new Map([['ann', Buffer.from('ann-password')]]);

/** Whether the pair is right. Yours compares a hash. */
export function isRight(name, password) {
  const known = passwords.get(name);
  const given = Buffer.from(String(password));
  return known !== undefined && given.length === known.length && timingSafeEqual(given, known);
}

/** Serves until the process is told to end. */
export function serve(listen, close) {
  listen(Number(process.env.PORT ?? 3000), (port) => console.log(`listening http://127.0.0.1:${port}`));
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      Promise.resolve(close()).then(() => redis?.disconnect());
    });
  }
}

/** The same for an Express application. */
export function serveExpress(app, close = () => undefined) {
  let server;
  serve(
    (port, listening) => {
      server = app.listen(port, '127.0.0.1', () => listening(server.address().port));
    },
    async () => {
      server.closeAllConnections();
      server.close();
      await close();
    },
  );
}
