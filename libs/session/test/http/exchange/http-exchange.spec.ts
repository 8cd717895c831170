import type { ArgumentsHost, ExecutionContext } from '@nestjs/common';
import type { HttpAdapterHost } from '@nestjs/core';
import { firstValueFrom, isObservable, type Observable } from 'rxjs';
import { clientFactsOf, metadataOf, rulesOf } from '../../../src/http/authentication/client-recognition.js';
import { findExchange, HttpExchange, type HttpResponse } from '../../../src/http/exchange/http-exchange.js';
import type { HttpRequest } from '../../../src/http/exchange/request-view.js';
import { SessionCookie } from '../../../src/http/cookies/session-cookie.js';
import { SessionExceptionFilter } from '../../../src/http/exchange/session-exception.filter.js';
import type { Session } from '../../../src/index.js';
import { endedError } from '../../../src/model/errors.js';
import { resolveSessionOptions } from '../../../src/options/resolve-options.js';

function contextOf(type: string, args: unknown[]): ExecutionContext & ArgumentsHost {
  return { getType: () => type, getArgByIndex: (index: number) => args[index] } as never;
}

function responseOf(headers: Record<string, unknown> = {}) {
  return {
    headers,
    headersSent: false,
    getHeader: (name: string) => headers[name],
    setHeader: (name: string, value: unknown) => (headers[name] = value),
    writeHead: (...args: unknown[]) => args,
  };
}

const request: HttpRequest = { method: 'GET', headers: { cookie: 'a=1' } };

describe('findExchange', () => {
  it('finds the request of GraphQL resolvers under the names that servers use', () => {
    for (const shared of [{ req: request, res: responseOf() }, { request, reply: responseOf() }, { req: request }]) {
      const exchange = findExchange(contextOf('graphql', [{}, {}, shared, {}]));
      expect(exchange?.header('cookie')).toBe('a=1');
      expect(exchange?.canSetHeaders).toBe('res' in shared || 'reply' in shared);
    }
  });

  it('is one key for Express, Fastify and the middleware of both', () => {
    const raw = { headers: {} } as never;
    expect(new HttpExchange({ headers: {}, raw }, undefined).key).toBe(raw);
    expect(new HttpExchange(raw, undefined).key).toBe(raw);
  });

  it('says clearly when there is no response to write to', () => {
    expect(() => new HttpExchange(request, undefined).assertCanSetHeaders()).toThrow('There is no HTTP response');
    new HttpExchange(request, undefined).setHeader('a', 'b');
  });
});

describe('forbidCaching', () => {
  it.each([
    [[200], [200]],
    [
      [200, 'OK', { 'Cache-Control': 'public', a: 'b' }],
      [200, 'OK', { a: 'b' }],
    ],
    [
      [200, { a: 'b' }],
      [200, { a: 'b' }],
    ],
    [
      [200, ['CACHE-CONTROL', 'public', 'a', 'b']],
      [200, ['a', 'b']],
    ],
    [
      [
        200,
        [
          ['cache-control', 'public'],
          ['a', 'b'],
        ],
      ],
      [200, [['a', 'b']]],
    ],
    [
      [200, 'OK', undefined],
      [200, 'OK', undefined],
    ],
  ])('holds for every way to write the head: %j', (given, passedOn) => {
    const headers: Record<string, unknown> = {};
    const response = responseOf(headers);
    const exchange = new HttpExchange(request, response as unknown as HttpResponse);
    exchange.forbidCaching();
    exchange.forbidCaching();
    headers['cache-control'] = 'public';
    expect(response.writeHead(...given)).toEqual(passedOn);
    expect(headers).toEqual({ 'cache-control': 'no-store' });
  });
});

describe('SessionCookie', () => {
  const session = { idleTimeout: 1, expiresAt: 2 } as Session;

  it('ASVS 3.3.5: refuses to write more than browsers keep', () => {
    const headers = {};
    const exchange = new HttpExchange(request, responseOf(headers) as unknown as HttpResponse);
    const cookie = new SessionCookie(resolveSessionOptions());
    expect(() => cookie.write(exchange, 'x'.repeat(4050), { session, now: 1 })).toThrow('longer than 4096 bytes');
    expect(headers).toEqual({});
    cookie.write(exchange, 'x'.repeat(4000), { session, now: 1 });
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'set-cookie': [expect.stringMatching(/^__Host-session=x{4000};/)],
    });
  });

  it('keeps other cookies whatever form the header is in, and none whose name only begins alike is lost', () => {
    for (const before of ['b=1', ['b=1'], ['b=1', '__Host-session=old; Path=/'], ['__Host-session=old', 'b=1']]) {
      const headers: Record<string, unknown> = { 'set-cookie': before };
      const exchange = new HttpExchange(request, responseOf(headers) as unknown as HttpResponse);
      new SessionCookie(resolveSessionOptions()).write(exchange, 'new', { session, now: 1 });
      expect(headers['set-cookie']).toEqual(['b=1', expect.stringMatching(/^__Host-session=new;/)]);
    }
    const headers: Record<string, unknown> = { 'set-cookie': ['__Host-session2=other'] };
    const exchange = new HttpExchange(request, responseOf(headers) as unknown as HttpResponse);
    new SessionCookie(resolveSessionOptions()).clear(exchange);
    expect(headers['set-cookie']).toHaveLength(2);
  });
});

describe('metadataOf', () => {
  const of = (headers: HttpRequest['headers'], ip?: string) => {
    const exchange = new HttpExchange({ headers, ...(ip !== undefined && { ip }) }, undefined);
    const { fingerprint, ...others } = metadataOf(clientFactsOf(exchange), rulesOf(resolveSessionOptions()));
    expect(fingerprint).toMatch(/^f1\./);
    return others;
  };

  it('keeps a user agent with line breaks and other controls on one line (ASVS 16.4.1)', () => {
    const userAgent = 'Mozilla\r\nSet-Cookie: x\u0000\u0085\u2028[31m';
    expect(of({ 'user-agent': userAgent }).userAgent).toBe('Mozilla Set-Cookie: x [31m');
    expect(of({ 'user-agent': '\r\n' })).toEqual({ userAgent: '' });
    expect(of({ 'user-agent': '🦊'.repeat(300) }).userAgent).toHaveLength(512);
    expect(of({})).toEqual({});
  });

  it.each([
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['192.0.2.1', '192.0.2.1'],
    ['2001:0DB8::0001', '2001:db8::1'],
    ['::1', '::1'],
    ['unknown', undefined],
    ['', undefined],
  ])('CVE-2026-45364: the address %s is kept as %s', (ip, expected) => {
    expect(of({}, ip).ip).toBe(expected);
  });
});

describe('SessionExceptionFilter where there is no HTTP', () => {
  const filter = new SessionExceptionFilter({} as HttpAdapterHost);
  const error = endedError('admin');
  const body = { status: 'error', code: 'session_revoked', message: error.message };

  it('answers messages with an observable that fails', async () => {
    const answer = filter.catch(error, contextOf('rpc', []));
    expect(isObservable(answer)).toBe(true);
    await expect(firstValueFrom(answer as Observable<unknown>)).rejects.toBe(error);
  });

  it('has GraphQL report the error with its status', () => {
    expect(() => filter.catch(error, contextOf('graphql', [{}, {}, { req: request }]))).toThrow(
      expect.objectContaining({ code: 'session_revoked', extensions: { code: 'session_revoked', statusCode: 401 } }),
    );
  });

  it('tells the client of a socket', () => {
    const emitted: unknown[] = [];
    filter.catch(error, contextOf('ws', [{ emit: (...args: unknown[]) => emitted.push(args) }]));
    filter.catch(
      error,
      contextOf('ws', [{ readyState: 1, emit: () => true, send: (text: string) => emitted.push(JSON.parse(text)) }]),
    );
    expect(emitted).toEqual([['exception', body], { event: 'exception', data: body }]);
  });
});
