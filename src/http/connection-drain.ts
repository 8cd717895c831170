import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { type BeforeApplicationShutdown, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';

/** How long requests may take to end once the application shuts down, ms; then their connections are closed. */
const GRACE = 700;

/**
 * Lets a server stop whose clients keep their connections open and go on sending: from the shutdown on, each response
 * ends its connection. On its own, Express waits until the last client has gone.
 */
@Injectable()
export class ConnectionDrain implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly open = new Set<ServerResponse>();
  private isClosing = false;

  constructor(private readonly host: HttpAdapterHost) {}

  onApplicationBootstrap(): void {
    this.server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => {
      if (this.isClosing) response.shouldKeepAlive = false;
      this.open.add(response);
      response.once('close', () => this.open.delete(response));
    });
  }

  beforeApplicationShutdown(): void {
    this.isClosing = true;
    for (const response of this.open) if (!response.headersSent) response.shouldKeepAlive = false;
    setTimeout(() => this.server.closeAllConnections(), GRACE).unref();
  }

  private get server(): Server {
    return this.host.httpAdapter.getHttpServer() as Server;
  }
}
