/** The part of the Web Locks API that the client uses, for tabs that share a process. Node 20 has none. */
export class FakeLocks {
  private readonly queues = new Map<string, { readonly start: () => void }[]>();

  async request<T>(name: string, { signal }: { signal?: AbortSignal }, run: () => Promise<T>): Promise<T> {
    const queue = this.queues.get(name) ?? [];
    this.queues.set(name, queue);
    await new Promise<void>((resolve, reject) => {
      const entry = { start: resolve };
      queue.push(entry);
      if (queue.length === 1) return resolve();
      signal?.addEventListener('abort', () => {
        const place = queue.indexOf(entry);
        if (place > 0) queue.splice(place, 1);
        reject(new DOMException('aborted', 'AbortError'));
      });
    });
    try {
      return await run();
    } finally {
      queue.shift();
      queue[0]?.start();
    }
  }

  async query(): Promise<{ pending: { name: string }[] }> {
    return { pending: [...this.queues].flatMap(([name, queue]) => queue.slice(1).map(() => ({ name }))) };
  }
}
