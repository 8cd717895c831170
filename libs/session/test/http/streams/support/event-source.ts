import { get, type ClientRequest, type IncomingMessage } from 'node:http';

export interface HeardEvent {
  readonly event: string;
  readonly data: { readonly [key: string]: unknown; readonly reason?: string | null };
}

/** A client of server-sent events that writes down what it hears. */
export class EventSourceClient {
  readonly events: HeardEvent[] = [];
  comments = 0;
  /** True once the server has closed the stream in order. */
  ended = false;
  /** True once the connection broke. */
  broken = false;
  private text = '';

  private constructor(
    readonly response: IncomingMessage,
    private readonly request: ClientRequest,
  ) {
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      this.text += chunk;
      this.parse();
    });
    response.once('end', () => (this.ended = true));
    response.once('error', () => (this.broken = true));
  }

  /** By `node:http`: after an abort, `fetch` opens another connection and leaves it idle, which keeps Fastify from closing. */
  static async open(url: string, headers: Record<string, string> = {}): Promise<EventSourceClient> {
    // As fetch, with which the tests sign in: another user agent would be another client.
    const sent = { accept: 'text/event-stream', 'user-agent': 'node', ...headers };
    const request = get(url, { headers: sent, agent: false });
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve);
      request.on('error', reject);
    });
    return new EventSourceClient(response, request);
  }

  get status(): number {
    return this.response.statusCode ?? 0;
  }

  get types(): string[] {
    return this.events.map(({ event, data }) => (data.reason === undefined ? event : `${event} ${data.reason}`));
  }

  header(name: string): string {
    return String(this.response.headers[name] ?? '');
  }

  close(): void {
    this.request.destroy();
  }

  private parse(): void {
    for (let at = this.text.indexOf('\n\n'); at >= 0; at = this.text.indexOf('\n\n')) {
      const block = this.text.slice(0, at);
      this.text = this.text.slice(at + 2);
      const event = /^event: (.*)$/m.exec(block)?.[1];
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (event !== undefined && data !== undefined)
        this.events.push({ event, data: JSON.parse(data) as HeardEvent['data'] });
      else if (block.startsWith(':')) this.comments += 1;
    }
  }
}
