/** What the client uses of the Web Locks API. The library is compiled without the types of the DOM. */
interface Locks {
  request<T>(name: string, options: { signal?: AbortSignal }, run: () => Promise<T>): Promise<T>;
  query(): Promise<{ pending?: readonly { name?: string }[] }>;
}

const page = globalThis as { navigator?: { locks?: Locks }; location?: { href: string } };

/**
 * An address of the page's own, or of its API, in full.
 *
 * @throws {TypeError} for a relative address outside of a page.
 */
export function absolute(address: string, base?: string): string {
  return new URL(address, base ?? page.location?.href).href;
}

/** Whether the page is being rendered by a server, where it has no address. */
export function isRenderedByServer(): boolean {
  return page.location === undefined;
}

/** What all tabs hear. Null where there are no tabs: React Native has none. */
export function openChannel(name: string): InstanceType<typeof BroadcastChannel> | null {
  if (typeof BroadcastChannel === 'undefined') return null;
  const channel = new BroadcastChannel(name) as InstanceType<typeof BroadcastChannel> & { unref?: () => void };
  // An open channel would keep a Node process alive.
  channel.unref?.();
  return channel;
}

/** Runs it while no other tab does. Where there are no locks (pages without https), runs it at once. */
export function alone<T>(name: string, signal: AbortSignal, run: () => Promise<T>): Promise<T> {
  const locks = page.navigator?.locks;
  return locks ? locks.request(name, { signal }, run) : run();
}

/** Resolves once no tab waits for the lock any more, and after a second at the latest. */
export async function nobodyWaits(name: string): Promise<void> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const { pending = [] } = (await page.navigator?.locks?.query()) ?? {};
    if (!pending.some((lock) => lock.name === name)) return;
    await delay(20);
  }
}

/** Resolves after so many ms, and at once when the signal is aborted. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => resolve());
  });
}
