import type { AbstractHttpAdapter, HttpAdapterHost } from '@nestjs/core';

/**
 * Calls `use` with the application's HTTP adapter: immediately if the server exists, and otherwise once it does, because with
 * @nestjs/testing it is created after the providers. Never for an application context, which has no HTTP server.
 */
export function onHttpAdapter(host: HttpAdapterHost, use: (adapter: AbstractHttpAdapter) => void): void {
  host.init$.subscribe(() => {
    const adapter = host.httpAdapter as AbstractHttpAdapter | undefined;
    if (adapter) use(adapter);
  });
}
