export interface HeardEvent {
  readonly event: string;
  readonly data: Record<string, unknown>;
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
    readonly response: Response,
    private readonly abort: AbortController,
  ) {}

  static async open(url: string, headers: Record<string, string> = {}): Promise<EventSourceClient> {
    const abort = new AbortController();
    const response = await fetch(url, { headers: { accept: 'text/event-stream', ...headers }, signal: abort.signal });
    const client = new EventSourceClient(response, abort);
    void client.read();
    return client;
  }

  get status(): number {
    return this.response.status;
  }

  get types(): string[] {
    return this.events.map(({ event, data }) => (data['reason'] === undefined ? event : `${event} ${String(data['reason'])}`));
  }

  close(): void {
    this.abort.abort();
  }

  private async read(): Promise<void> {
    try {
      for await (const chunk of this.response.body as unknown as AsyncIterable<Uint8Array>) {
        this.text += Buffer.from(chunk).toString('utf8');
        this.parse();
      }
      this.ended = true;
    } catch {
      this.broken = true;
    }
  }

  private parse(): void {
    for (let at = this.text.indexOf('\n\n'); at >= 0; at = this.text.indexOf('\n\n')) {
      const block = this.text.slice(0, at);
      this.text = this.text.slice(at + 2);
      const event = /^event: (.*)$/m.exec(block)?.[1];
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (event !== undefined && data !== undefined) this.events.push({ event, data: JSON.parse(data) as Record<string, unknown> });
      else if (block.startsWith(':')) this.comments += 1;
    }
  }
}
