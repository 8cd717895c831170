import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** An API whose answers a test sets, by path. It notes what came in. */
export class Api {
  readonly requests: { path: string; method: string; authorization: string | undefined; body: string }[] = [];
  readonly answers = new Map<string, Answer>();
  private constructor(private readonly server: Server) {}

  static async start(): Promise<Api> {
    const server = createServer();
    const api = new Api(server);
    server.on('request', (request, response) => void api.handle(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return api;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/`;
  }

  on(path: string, answer: Answer): void {
    this.answers.set(path, answer);
  }

  countOf(path: string): number {
    return this.requests.filter((request) => request.path === path).length;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const { url: path = '', method = '', headers } = request;
    this.requests.push({ path, method, authorization: headers.authorization, body });
    const answer = this.answers.get(path);
    if (answer) answer(request, response, body);
    else response.writeHead(404).end();
  }
}

export function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export function refuse(response: ServerResponse, statusCode: number, code: string): void {
  reply(response, statusCode, { statusCode, error: '', code, message: `because of ${code}` });
}
