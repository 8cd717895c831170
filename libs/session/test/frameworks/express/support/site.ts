import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import session, { type SessionOptions } from 'express-session';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sessionErrorHandler, type SessionExpressStore } from '../../../../src/frameworks/express/index.js';
import { Browser } from '../../../support/browser.js';

declare module 'express-session' {
  interface SessionData {
    [key: string]: unknown;
  }
}

export const SECRET = 'a secret for the cookies of these tests';

export interface Site {
  readonly url: string;
  /** What reached the error handler. */
  readonly errors: unknown[];
  browser(): Browser;
}

export interface SiteOptions {
  store: SessionExpressStore;
  session?: Partial<SessionOptions>;
  /** Mounted right after express-session. */
  after?: (app: Express) => unknown;
  routes?: (app: Express) => unknown;
}

const running: Server[] = [];

/**
 * Serves an Express application with express-session on the store. `GET /` answers the session's data, `POST /set` puts
 * the body in it; other routes as given.
 */
export async function openSite({ store, session: options, after, routes }: SiteOptions): Promise<Site> {
  const app = express();
  app.use(session({ secret: SECRET, resave: false, saveUninitialized: false, ...options, store }));
  after?.(app);
  app.use(express.json());
  routes?.(app);
  app.get('/', (request, response) => {
    response.json(dataOf(request));
  });
  app.post('/set', (request, response) => {
    Object.assign(request.session, request.body);
    response.json(dataOf(request));
  });
  app.post('/logout', (request, response, next) => {
    request.session.destroy((error) => (error ? next(error) : response.sendStatus(204)));
  });
  const errors: unknown[] = [];
  app.use((error: unknown, _request: Request, _response: Response, next: NextFunction) => {
    errors.push(error);
    next(error);
  });
  app.use(sessionErrorHandler());
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  running.push(server);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, errors, browser: () => new Browser(url) };
}

/** For `afterEach`. */
export async function closeSites(): Promise<void> {
  await Promise.all(
    running.splice(0).map(async (server) => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }),
  );
}

/** What a session holds beside its cookie. */
export function dataOf({ session }: Request): Record<string, unknown> {
  const { cookie: _cookie, ...data } = { ...session };
  return data;
}

/** A point that a request waits at until the test lets it go on. */
export class Gate {
  readonly reached: Promise<void>;
  private arrive!: () => void;
  private readonly opened: Promise<void>;
  private go!: () => void;

  constructor() {
    this.reached = new Promise((resolve) => (this.arrive = resolve));
    this.opened = new Promise((resolve) => (this.go = resolve));
  }

  async pass(): Promise<void> {
    this.arrive();
    await this.opened;
  }

  open(): void {
    this.go();
  }
}
