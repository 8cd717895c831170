import type { IncomingMessage, OutgoingHttpHeaders, Server, ServerResponse } from 'node:http';

/** The part of a Fastify reply that is used here. */
interface FastifyReply {
  readonly raw: ServerResponse;
  hijack(): unknown;
  getHeaders(): Record<string, number | string | string[] | undefined>;
}

/** A response that a stream can take over: Express's, a Fastify reply, or Node's own. */
export type StreamableResponse = ServerResponse | FastifyReply;

const HEADERS: OutgoingHttpHeaders = {
  'content-type': 'text/event-stream; charset=utf-8',
  // `no-transform`: a compressing middleware or proxy would buffer events.
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
};

/** One client of server-sent events. A client that does not read is disconnected, so that its buffer stays limited. */
export class EventClient {
  private readonly response: ServerResponse;
  private isFull = false;

  constructor(
    response: StreamableResponse,
    private readonly settings: {
      readonly maxBuffered: number;
      readonly retry: number;
      readonly onClose: (client: EventClient) => void;
    },
  ) {
    this.response = takeOver(response);
    this.response.once('close', () => settings.onClose(this));
    this.response.on('error', () => this.drop());
    this.write(`retry: ${settings.retry}\n\n`);
    // Frameworks route HEAD to the handler of GET; a response to HEAD has no body.
    if (this.response.req.method === 'HEAD') this.close();
  }

  get isOpen(): boolean {
    return !this.response.destroyed && !this.response.writableEnded;
  }

  /** Node's own request. */
  get request(): IncomingMessage {
    return this.response.req;
  }

  /** The server that the client is connected to, if it is Node's. */
  get server(): Server | null {
    return (this.request.socket as { server?: Server } | null)?.server ?? null;
  }

  send(event: string, data: object): void {
    // JSON has no line breaks, so the data fits one line.
    this.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /** Keeps the connection alive. Disconnects a client that has read nothing since the last call. */
  beat(): void {
    const wasFull = this.isFull;
    this.isFull = this.response.writableNeedDrain;
    if (wasFull && this.isFull) this.drop();
    else this.write(':\n\n');
  }

  /** Ends the stream after everything written has been sent. */
  close(): void {
    if (this.isOpen) this.response.end();
  }

  /** Disconnects the client and discards unsent data. */
  drop(): void {
    this.response.destroy();
  }

  private write(text: string): void {
    if (!this.isOpen) return;
    this.response.write(text);
    if (this.response.writableLength > this.settings.maxBuffered) this.drop();
  }
}

function takeOver(response: StreamableResponse): ServerResponse {
  if ('hijack' in response) {
    // Fastify keeps headers to itself until it replies, which does not happen here.
    const headers = response.getHeaders();
    response.hijack();
    response.raw.writeHead(200, { ...headers, ...HEADERS });
    return response.raw;
  }
  response.writeHead(200, HEADERS);
  return response;
}
