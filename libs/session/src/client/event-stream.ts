/** The server says something every 15 s: a connection that is silent for longer is dead. */
const SILENCE = 45_000;

/** Reads server-sent events until the stream ends. Each has JSON as its data, on one line. */
export async function readEvents(
  body: ReadableStream<Uint8Array>,
  onData: (data: Record<string, unknown>) => void,
): Promise<void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const timer = setTimeout(() => void reader.cancel(), SILENCE);
    const { done, value } = await reader.read().finally(() => clearTimeout(timer));
    if (done) return;
    const events = (text + decoder.decode(value, { stream: true })).split('\n\n');
    text = events.pop() ?? '';
    for (const event of events) {
      const data = /^data: ?(.*)$/m.exec(event)?.[1];
      if (data !== undefined) onData(JSON.parse(data) as Record<string, unknown>);
    }
  }
}
