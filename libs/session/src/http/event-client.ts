import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** The part of a Fastify reply that is used here. */
interface FastifyReply {
  readonly raw: ServerResponse;
  hijack(): unknown;
  getHeaders(): Record<string, number | string | string[] | undefined>;
}

/** A response that can be taken over: Express's, a Fastify reply, or Node's own. */
export type StreamableResponse = ServerResponse | FastifyReply;

const HEADERS: OutgoingHttpHeaders = {
  'content-type': 'text/event-stream; charset=utf-8',
  // No transform: a compressing middleware or proxy would hold events back until it has enough of them.
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
};

/** One client that hears server-sent events. What it does not read is not kept for it without end: it is cut off instead. */
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
    // Frameworks route HEAD to the handler of GET; there is no body in which anything could follow.
    if (this.response.req.method === 'HEAD') this.close();
  }

  get isOpen(): boolean {
    return !this.response.destroyed && !this.response.writableEnded;
  }

  send(event: string, data: object): void {
    // JSON has no line breaks, so that the data is one line.
    this.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /** Shows proxies and the client that somebody is there. Cuts off a client that has read nothing since the last time. */
  beat(): void {
    const wasFull = this.isFull;
    this.isFull = this.response.writableNeedDrain;
    if (wasFull && this.isFull) this.drop();
    else this.write(':\n\n');
  }

  /** Ends the stream in order, once what is written has gone out. */
  close(): void {
    if (this.isOpen) this.response.end();
  }

  /** Cuts the client off, and forgets what is still to be sent. */
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
    // Fastify keeps the headers to itself until it answers, which it will not.
    const headers = response.getHeaders();
    response.hijack();
    response.raw.writeHead(200, { ...headers, ...HEADERS });
    return response.raw;
  }
  response.writeHead(200, HEADERS);
  return response;
}
