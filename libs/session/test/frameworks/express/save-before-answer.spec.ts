import type { Express, NextFunction, Request, RequestHandler, Response } from 'express';
import { EventEmitter, once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { saveBeforeAnswer, type SessionExpressStore } from '../../../src/frameworks/express/index.js';
import { StoreUnavailableError } from '../../../src/model/errors.js';
import type { StoreHarness } from '../../../src/store-contract/store-harness.js';
import { BACKENDS, closeBackends, openBackend, openExpressStore } from './support/backends.js';
import { closeSites, openSite, type Site } from './support/site.js';
import { until } from '../../support/own-redis.js';

afterEach(async () => {
  await closeSites();
  await closeBackends();
});

describe.each(BACKENDS)('from the first end, a response counts as sent, on %s', (backend) => {
  let harness: StoreHarness;
  let store: SessionExpressStore;
  /** What the handler saw after its first answer. */
  let seen: Record<string, unknown>;

  const serve = async (handler: RequestHandler, ...more: ((app: Express) => unknown)[]): Promise<Site> =>
    openSite({
      store,
      after: (app) => app.use(saveBeforeAnswer()),
      routes: (app) => {
        for (const each of more) each(app);
        app.all('/route', handler);
      },
    });

  /** Changes the session, so that the answer waits for the save. */
  const changing =
    (then: (request: Request, response: Response, next: NextFunction) => unknown): RequestHandler =>
    (request, response, next) => {
      request.session['visits'] = Number(request.session['visits'] ?? 0) + 1;
      return then(request, response, next);
    };

  const attempt = (action: () => unknown): unknown => {
    try {
      action();
      return 'done';
    } catch (error) {
      return (error as { code?: string }).code;
    }
  };

  beforeEach(async () => {
    harness = await openBackend(backend);
    store = openExpressStore({ store: harness.store });
    seen = {};
  });

  it('a refusal is not replaced by a later answer', async () => {
    const site = await serve(
      changing((_request, response) => {
        response.status(403).json({ refused: true });
        seen['second'] = attempt(() => response.status(200).json({ secret: true }));
        seen['sent'] = [response.headersSent, response.writableEnded, response.statusCode];
      }),
    );
    const browser = site.browser();
    const { status, body } = await browser.get('/route');
    expect([status, body]).toEqual([403, { refused: true }]);
    expect(seen).toEqual({ second: 'ERR_HTTP_HEADERS_SENT', sent: [true, true, 403] });
    expect((await browser.get('/')).body).toEqual({ visits: 1 });
  });

  it.each<[string, (response: Response, done: () => void) => unknown]>([
    ['end(callback)', (response, done) => response.end(done)],
    ['end(text, callback)', (response, done) => response.end('text', done)],
    ['end(text, encoding, callback)', (response, done) => response.end('text', 'utf8', done)],
  ])('%s calls back once the answer has left', async (_name, answer) => {
    let left = 0;
    const site = await serve(changing((_request, response) => answer(response, () => (left += 1))));
    expect((await site.browser().get('/route')).status).toBe(200);
    await until(() => left > 0);
    expect(left).toBe(1);
  });

  it('what is answered after a failed save begins again: no status, reason or entity header of the answer that was not given', async () => {
    const answering = changing((_request, response) => {
      response.statusMessage = 'Made';
      response.status(201).set('etag', '"a"').set('location', '/new').json({ made: true });
    });
    const site = await openSite({
      store,
      after: (app) => app.use(saveBeforeAnswer()),
      routes: (app) => {
        app.all('/route', answering);
        app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
          seen = { status: response.statusCode, reason: response.statusMessage, headers: response.getHeaderNames() };
          response.json({ failed: (error as { code?: string }).code });
        });
      },
    });
    harness.store.create = async () => {
      throw new StoreUnavailableError();
    };
    const reply = await site.browser().get('/route');
    expect([reply.status, reply.body]).toEqual([200, { failed: 'store_unavailable' }]);
    expect(seen).toMatchObject({ status: 200, reason: '' });
    expect(seen['headers']).not.toEqual(expect.arrayContaining([expect.stringMatching(/^(etag|location|content-)/)]));
  });

  it.each<[string, (response: Response) => unknown]>([
    ['end()', (response) => response.end()],
    ['end(text)', (response) => response.end('other')],
    ['end(callback)', (response) => response.end(() => undefined)],
    ['write', (response) => response.write('other')],
    ['flushHeaders', (response) => response.flushHeaders()],
    ['statusCode', (response) => (response.statusCode = 500)],
    ['statusMessage', (response) => (response.statusMessage = 'Other')],
  ])('%s after it is ignored', async (_name, later) => {
    const site = await serve(
      changing((_request, response) => {
        response.statusMessage = 'First';
        response.end('first');
        later(response);
        setImmediate(() => later(response));
      }),
    );
    const reply = await fetch(`${site.url}/route`);
    expect([reply.status, reply.statusText, await reply.text()]).toEqual([200, 'First', 'first']);
  });

  it.each<[string, (response: Response) => unknown]>([
    ['setHeader', (response) => response.setHeader('x-late', 'yes')],
    ['setHeaders', (response) => response.setHeaders(new Headers({ 'x-late': 'yes' }))],
    ['appendHeader', (response) => response.appendHeader('x-late', 'yes')],
    ['removeHeader', (response) => response.removeHeader('x-early')],
    ['writeHead', (response) => response.writeHead(200, { 'x-late': 'yes' })],
    ['writeHead with a list', (response) => response.writeHead(200, 'OK', ['x-late', 'yes'])],
    ['set of Express', (response) => response.set('x-late', 'yes')],
    ['cookie of Express', (response) => response.cookie('late', 'yes')],
    ['redirect of Express', (response) => response.redirect('/late')],
    ['sendStatus of Express', (response) => response.sendStatus(200)],
  ])('%s after it throws', async (_name, later) => {
    const site = await serve(
      changing((_request, response) => {
        response.set('x-early', 'yes').status(401).send('first');
        seen['later'] = attempt(() => later(response));
      }),
    );
    const { status, text, headers, setCookies } = await site.browser().get('/route');
    expect([status, text, seen['later']]).toEqual([401, 'first', 'ERR_HTTP_HEADERS_SENT']);
    expect([headers.get('x-early'), headers.get('x-late'), headers.get('location')]).toEqual(['yes', null, null]);
    expect(setCookies.map(({ name }) => name)).toEqual(['connect.sid']);
  });

  it.each<[string, RequestHandler]>([
    ['next(error)', changing((_request, response, next) => (response.send('first'), next(new Error('too late'))))],
    [
      'a handler that throws (Express 4)',
      changing((_request, response) => {
        response.send('first');
        throw new Error('too late');
      }),
    ],
    [
      'a handler that rejects (Express 5)',
      changing(async (_request, response) => {
        response.send('first');
        await Promise.resolve();
        throw new Error('too late');
      }),
    ],
  ])('%s after it changes nothing for the client', async (_name, handler) => {
    const site = await serve(handler);
    const browser = site.browser();
    const { status, text } = await browser.get('/route');
    expect([status, text]).toEqual([200, 'first']);
    expect(site.errors).toEqual([expect.objectContaining({ message: 'too late' })]);
    expect((await browser.get('/')).body).toEqual({ visits: 1 });
  });

  it('an error handler that does not look answers nothing either', async () => {
    const site = await serve(
      changing((_request, response, next) => {
        response.send('first');
        next(new Error('too late'));
      }),
      (app) =>
        app.use((_error: unknown, _request: Request, response: Response, next: NextFunction) => {
          response.status(500).send('broken');
          next();
        }),
    );
    expect((await site.browser().get('/route')).text).toBe('first');
  });

  it('a HEAD request gets the headers and no body', async () => {
    const site = await serve(
      changing((_request, response) => {
        response.set('x-early', 'yes').send('first');
        response.end('other');
      }),
    );
    const { status, text, headers } = await site.browser().request('/route', { method: 'HEAD' });
    expect([status, text, headers.get('x-early'), headers.get('content-length')]).toEqual([200, '', 'yes', '5']);
  });

  it.each<[string, (response: Response) => unknown]>([
    ['an object', (response) => response.writeHead(202, { 'x-a': '1' }).end('first')],
    ['a list', (response) => response.writeHead(202, ['x-a', '1', 'x-b', '2']).end('first')],
    ['a list of pairs', (response) => response.writeHead(202, [['x-a', '1']] as never).end('first')],
    ['a reason and a list', (response) => response.writeHead(202, 'Fine', ['x-a', '1']).end('first')],
  ])('writeHead with %s begins it, and the session is saved all the same', async (_name, answer) => {
    const site = await serve(changing((_request, response) => answer(response)));
    const browser = site.browser();
    const { status, text, headers } = await browser.get('/route');
    expect([status, text, headers.get('x-a')]).toEqual([202, 'first', '1']);
    expect((await browser.get('/')).body).toEqual({ visits: 1 });
  });

  it('streams pass, by pipe and by pipeline', async () => {
    const site = await serve(
      changing(async (request, response) => {
        const parts = Readable.from(['a'.repeat(70_000), 'b'.repeat(70_000)]);
        if (request.query['by'] === 'pipe') parts.pipe(response);
        else await pipeline(parts, response);
      }),
    );
    const browser = site.browser();
    for (const by of ['pipe', 'pipeline']) expect((await browser.get(`/route?by=${by}`)).text).toHaveLength(140_000);
    expect((await browser.get('/')).body).toEqual({ visits: 2 });
  });

  it('an empty stream is an empty answer', async () => {
    const site = await serve(changing(async (_request, response) => pipeline(Readable.from([]), response)));
    const browser = site.browser();
    expect((await browser.get('/route')).text).toBe('');
    expect((await browser.get('/')).body).toEqual({ visits: 1 });
  });

  it('calls the callbacks of end, the first and later ones', async () => {
    const calls = new EventEmitter();
    const site = await serve(
      changing((_request, response) => {
        response.end('first', 'utf8', () => calls.emit('call', 1));
        response.end(() => calls.emit('call', 2));
      }),
    );
    const both = Promise.all([once(calls, 'call'), site.browser().get('/route')]);
    expect((await both)[1].text).toBe('first');
  });

  it.each<[string, (response: Response) => unknown, string]>([
    ['a body of the wrong type', (response) => response.end(5 as never), 'ERR_INVALID_ARG_TYPE'],
    [
      'an invalid status code',
      (response) => {
        response.statusCode = 99;
        response.end();
      },
      'ERR_HTTP_INVALID_STATUS_CODE',
    ],
  ])('%s throws at once, and another answer is possible', async (_name, answer, code) => {
    const site = await serve(
      changing((_request, response) => {
        seen['error'] = attempt(() => answer(response));
        response.status(422).send('second');
      }),
    );
    const { status, text } = await site.browser().get('/route');
    expect([status, text, seen['error']]).toEqual([422, 'second', code]);
  });

  it('an answer that Node refuses to send closes the connection and does not end the process', async () => {
    const site = await serve(
      changing((_request, response) => {
        response.statusMessage = 'not\nallowed';
        response.end('first');
      }),
    );
    await expect(fetch(`${site.url}/route`)).rejects.toThrow();
    expect((await site.browser().get('/')).status).toBe(200);
  });

  it('an answer whose session cannot be saved is replaced by one error, whatever came after it', async () => {
    const site = await serve(
      changing((_request, response) => {
        response.status(201).set('x-early', 'yes').json({ signedIn: true });
        attempt(() => response.json({ again: true }));
        response.end('other');
      }),
    );
    const { create } = harness.store;
    harness.store.create = async () => {
      throw new StoreUnavailableError();
    };
    const { status, body, setCookies, headers } = await site.browser().get('/route');
    harness.store.create = create;
    expect([status, body.code, setCookies]).toEqual([503, 'store_unavailable', []]);
    expect(headers.get('content-type')).toMatch(/^application\/json/);
    expect(site.errors).toHaveLength(1);
  });

  it('saves nothing for a request that has lost its session id', async () => {
    const site = await serve(
      changing((request, response) => {
        Reflect.deleteProperty(request, 'sessionID');
        response.send('first');
      }),
    );
    const { status, setCookies } = await site.browser().get('/route');
    expect([status, setCookies]).toEqual([200, []]);
    expect(await harness.store.count()).toBe(0);
  });

  it('a client that leaves while the session is saved loses nothing but the answer', async () => {
    let arrived!: () => void;
    const arrival = new Promise<void>((resolve) => (arrived = resolve));
    let release!: () => void;
    const released = new Promise<void>((resolve) => (release = resolve));
    const site = await serve(changing((_request, response) => response.send('first')));
    const { create } = harness.store;
    harness.store.create = (async (...args: Parameters<typeof create>) => {
      arrived();
      await released;
      return create.apply(harness.store, args);
    }) as typeof create;
    const leaving = new AbortController();
    const request = fetch(`${site.url}/route`, { signal: leaving.signal }).catch((error: unknown) => error);
    await arrival;
    leaving.abort();
    await request;
    release();
    harness.store.create = create;
    expect((await site.browser().get('/')).status).toBe(200);
    expect(site.errors).toEqual([]);
  });
});
