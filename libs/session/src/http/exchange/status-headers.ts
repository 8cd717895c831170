import type { ServerResponse } from 'node:http';
import { beforeHead } from './head-arguments.js';

interface StatusHeaders {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

const pending = new WeakMap<ServerResponse, StatusHeaders>();

/**
 * Sets headers when the response is sent, if it has this status: a guard that refuses cannot know whether another guard
 * lets the request pass, nor which filter writes the answer. The last call wins.
 */
export function setHeadersWithStatus(
  response: ServerResponse,
  status: number,
  headers: StatusHeaders['headers'],
): void {
  const isHooked = pending.has(response);
  pending.set(response, { status, headers });
  if (isHooked) return;
  beforeHead(response, (args) => {
    const due = pending.get(response);
    if (due && args[0] === due.status) {
      for (const [name, value] of Object.entries(due.headers)) response.setHeader(name, value);
    }
    return args;
  });
}
