import { Controller, Post, Req, UseFilters, UseGuards } from '@nestjs/common';
import { MessageBody, SubscribeMessage, WebSocketGateway, type OnGatewayConnection } from '@nestjs/websockets';
import {
  CurrentSession,
  CurrentUser,
  Public,
  ReqSession,
  RequireFresh,
  Roles,
  SessionExceptionFilter,
  SessionGuard,
  SessionService,
  type RequestSession,
  type Session,
  type SessionModuleOptions,
  type SessionUser,
} from '../../../src/index.js';
import { sessionOfSocket, SocketTickets, withSessions, type SocketTicket } from '../../../src/websockets/index.js';
import { AccountController } from '../../support/account.controller.js';
import { startApp, type Platform, type TestApp } from '../../support/app.js';
import type { Browser } from '../../support/browser.js';
import { adapterFor, connect, type Handshake, type Kind, type TestSocket } from './sockets.js';

/** What Node's fetch sends, with which the browser of the tests signs in. */
export const USER_AGENT = 'node';
export const jwt = { issuer: 'https://issuer.example', audience: 'https://api.example' };

@UseGuards(SessionGuard)
@WebSocketGateway()
export class ChatGateway implements OnGatewayConnection {
  readonly entered: (string | undefined)[] = [];
  readonly heard: unknown[] = [];

  constructor(private readonly sessions: SessionService) {}

  handleConnection(client: object): void {
    this.entered.push(sessionOfSocket(client)?.userId);
  }

  @SubscribeMessage('me')
  me(@CurrentUser() user: SessionUser, @CurrentSession() session: Session): object {
    return { id: user.id, roles: session.roles };
  }

  @SubscribeMessage('say')
  say(@MessageBody() text: unknown): object {
    this.heard.push(text);
    return { said: text };
  }

  @Roles('admin')
  @SubscribeMessage('admin')
  admin(): object {
    return { ok: 'admin' };
  }

  @RequireFresh('5m')
  @SubscribeMessage('fresh')
  fresh(): object {
    return { ok: 'fresh' };
  }

  @Public()
  @SubscribeMessage('open')
  open(@CurrentUser() user: SessionUser | null): object {
    return { id: user?.id ?? 'nobody' };
  }

  @SubscribeMessage('sign-out')
  async signOut(@CurrentSession() session: Session): Promise<object> {
    return { ended: await this.sessions.end(session.id) };
  }

  @UseFilters(SessionExceptionFilter)
  @SubscribeMessage('step-up')
  async stepUp(@ReqSession() session: RequestSession): Promise<object> {
    return session.stepUp();
  }
}

@Controller()
class TicketController {
  constructor(private readonly tickets: SocketTickets) {}

  @UseGuards(SessionGuard)
  @Post('socket-ticket')
  issue(@Req() request: object): Promise<SocketTicket> {
    return this.tickets.issue(request);
  }
}

export interface SocketApp extends TestApp {
  /** `url`: by way of a proxy. */
  open(browser: Browser | null, handshake?: Handshake, url?: string): TestSocket;
}

export async function startSockets(
  kind: Kind,
  platform: Platform,
  session: SessionModuleOptions = {},
  providers: (new (...args: never[]) => object)[] = [ChatGateway],
  maxPerSession?: number,
): Promise<SocketApp> {
  const app = await startApp({
    platform,
    session: { jwt, ...session },
    controllers: [AccountController, TicketController],
    providers: [SocketTickets, ...providers],
    configure: (created) =>
      created.useWebSocketAdapter(
        withSessions(adapterFor(kind, created), created, maxPerSession === undefined ? {} : { maxPerSession }),
      ),
  });
  return { ...app, open: (browser, handshake, url = app.url) => connect(kind, url, withCookies(browser, handshake)) };
}

function withCookies(browser: Browser | null, handshake: Handshake = {}): Handshake {
  const cookie = [...(browser?.jar ?? [])].map(([name, value]) => `${name}=${value}`).join('; ');
  return {
    ...handshake,
    headers: { 'user-agent': USER_AGENT, ...(cookie !== '' && { cookie }), ...handshake.headers },
  };
}
