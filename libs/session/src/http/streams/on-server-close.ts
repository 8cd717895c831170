import type { Server } from 'node:http';

const listeners = new WeakMap<Server, Set<() => void>>();

/**
 * Calls the listener when a server is about to close. The server's own event `close` fires once every connection has
 * ended, including open streams: code that drains the server before our lifecycle hooks run (Apollo's plugin, from
 * `onModuleDestroy`) would wait for them.
 */
export function onServerClose(server: Server, listener: () => void): void {
  const known = listeners.get(server);
  if (known) {
    known.add(listener);
    return;
  }
  const added = new Set([listener]);
  listeners.set(server, added);
  const close = server.close.bind(server);
  server.close = (callback) => {
    for (const call of added) call();
    return close(callback);
  };
}
