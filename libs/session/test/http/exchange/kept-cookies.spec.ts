import type { ServerResponse } from 'node:http';
import { Controller, Post, Res, UseGuards } from '@nestjs/common';
import { Public, ReqSession, SessionGuard, type RequestSession } from '../../../src/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp } from '../../support/app.js';

interface Reply {
  header(name: string, value: string): unknown;
  clearCookie?(name: string): unknown;
  readonly raw?: ServerResponse;
  hijack?(): unknown;
}

/** Handlers that replace the whole header, as examples of serialising a cookie by hand do. */
const OWN = 'own=1; Path=/';
const REPLACE: Record<string, (response: ServerResponse, reply: Reply) => unknown> = {
  'by header()': (_, reply) => reply.header('Set-Cookie', OWN),
  'by setHeader': (response) => response.setHeader('Set-Cookie', OWN),
  'by setHeader with a list': (response) => response.setHeader('set-cookie', [OWN, 'other=2']),
  'by writeHead with an object': (response) => response.writeHead(201, { 'Set-Cookie': OWN }).end(),
  'by writeHead with a reason and a list': (response) => response.writeHead(201, 'Made', ['Set-Cookie', OWN]).end(),
  // Node accepts pairs; its types do not.
  'by writeHead with pairs': (response) =>
    response.writeHead(201, [['set-cookie', OWN]] as unknown as Record<string, string>).end(),
  'by removing all': (response) => response.removeHeader('set-cookie'),
};

@UseGuards(SessionGuard)
@Controller('replace')
class ReplacingController {
  static replace: (typeof REPLACE)[string];

  @Public()
  @Post()
  async signIn(
    @ReqSession() session: RequestSession,
    @Res({ passthrough: true }) reply: Reply & ServerResponse,
  ): Promise<void> {
    await session.start({ userId: 'ada' });
    const { raw } = reply;
    ReplacingController.replace(raw ?? reply, reply);
    // What was sent on Node's response, Fastify must not send again.
    if (raw?.writableEnded) reply.hijack?.();
  }

  @Post('out')
  async signOut(
    @ReqSession() session: RequestSession,
    @Res({ passthrough: true }) reply: Reply & ServerResponse,
  ): Promise<void> {
    await session.end();
    ReplacingController.replace(reply.raw ?? reply, reply);
    if (reply.raw?.writableEnded) reply.hijack?.();
  }
}

afterEach(closeApps);

describe.each(PLATFORMS)('a handler that replaces Set-Cookie after a sign-in, on %s', (platform) => {
  it.each(Object.entries(REPLACE))('%s', async (_, replace) => {
    ReplacingController.replace = replace;
    const app = await startApp({ platform, controllers: [AccountController, ReplacingController] });
    const browser = app.browser();
    const signedIn = await browser.post('/replace');
    expect(signedIn.status).toBe(201);
    expect(signedIn.headers.getSetCookie().filter((line) => line.startsWith('__Host-session='))).toHaveLength(1);
    expect((await browser.get('/me')).status).toBe(200);
    const { headers } = await browser.post('/replace/out');
    expect(headers.getSetCookie().filter((line) => line.startsWith('__Host-session=;'))).toHaveLength(1);
    expect(browser.jar.has('__Host-session')).toBe(false);
  });
});
