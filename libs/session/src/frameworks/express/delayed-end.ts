import type { IncomingMessage, ServerResponse } from 'node:http';

export interface DelayedEnd {
  /** Called at `end`, unless the response has begun by then. False ends it at once. */
  readonly isNeeded: () => boolean;
  /** Work to finish before the response begins. */
  readonly work: () => Promise<void>;
  /** Called instead of sending the response if the work fails. The response is open again. */
  readonly onError: (error: unknown) => void;
}

type End = (...args: unknown[]) => ServerResponse;
type Callback = (error?: Error | null) => void;

/** How long a connection that Express closes is held open for its answer, ms. */
const LONGEST_HOLD = 5_000;

/**
 * Makes the first `response.end` wait for work. From that call on the response counts as sent, as after Node's own
 * `end`: `headersSent` is true, setting headers throws, and later calls of `end` and `write` are ignored.
 */
export function delayEnd(request: IncomingMessage, response: ServerResponse, { isNeeded, work, onError }: DelayedEnd) {
  const end = response.end.bind(response) as End;
  const delayed: End = (...args) => {
    const { chunk, encoding, callback } = endArguments(args);
    if (response.headersSent || !isNeeded()) {
      response.end = end as ServerResponse['end'];
      return end(...args);
    }
    assertSendable(response, chunk);
    if (callback) response.once('finish', callback);
    const unlock = lock(request, response);
    const reopen = (): void => {
      unlock();
      response.end = end as ServerResponse['end'];
    };
    work().then(
      () => {
        reopen();
        try {
          end(chunk, encoding);
        } catch (error) {
          // Node refuses to send it, and other code that wraps `end` treats it as sent, so no other answer is possible.
          response.destroy(error as Error);
        }
      },
      (error: unknown) => {
        reopen();
        onError(error);
      },
    );
    return response;
  };
  response.end = delayed as ServerResponse['end'];
}

/** Makes the response behave as sent, and keeps its connection open. Returns how to undo that. */
function lock(request: IncomingMessage, response: ServerResponse): () => void {
  const { statusCode, statusMessage } = response;
  const refuse = (): never => {
    throw Object.assign(new Error('Cannot set headers after they are sent to the client'), {
      code: 'ERR_HTTP_HEADERS_SENT',
    });
  };
  const restore = override(response, {
    headersSent: { get: () => true },
    writableEnded: { get: () => true },
    finished: { get: () => true },
    statusCode: { get: () => statusCode, set: () => undefined },
    statusMessage: { get: () => statusMessage, set: () => undefined },
    setHeader: { value: refuse },
    setHeaders: { value: refuse },
    appendHeader: { value: refuse },
    removeHeader: { value: refuse },
    writeHead: { value: refuse },
    flushHeaders: { value: () => undefined },
    write: { value: ignoredWrite },
    end: { value: ignoredEnd(response) },
  });
  const release = keepConnection(request, response);
  return () => {
    restore();
    release();
  };
}

/**
 * After an error, Express closes the connection, assuming that the answer was sent. Here it was not, so the connection
 * is closed after it. A client that has disconnected is not waited for.
 */
function keepConnection({ socket }: IncomingMessage, response: ServerResponse): () => void {
  const restore = override(socket, {
    destroy: {
      value: (error?: Error) => {
        restore();
        if (error || !socket.writable || socket.readableEnded) return socket.destroy(error);
        const timer = setTimeout(() => socket.destroy(), LONGEST_HOLD).unref();
        response.once('finish', () => {
          clearTimeout(timer);
          socket.destroySoon();
        });
        return socket;
      },
    },
  });
  return restore;
}

/** Overrides properties of an object. Returns how to restore them. */
function override(target: object, properties: PropertyDescriptorMap): () => void {
  const before = Object.keys(properties).map((name) => [name, Object.getOwnPropertyDescriptor(target, name)] as const);
  for (const [name, descriptor] of Object.entries(properties)) {
    Object.defineProperty(target, name, { configurable: true, enumerable: true, ...descriptor });
  }
  return () => {
    for (const [name, descriptor] of before) {
      if (descriptor) Object.defineProperty(target, name, descriptor);
      else Reflect.deleteProperty(target, name);
    }
  };
}

function ignoredEnd(response: ServerResponse): End {
  return (...args) => {
    const { callback } = endArguments(args);
    if (callback) {
      if (response.writableFinished) queueMicrotask(callback);
      else response.once('finish', callback);
    }
    return response;
  };
}

function ignoredWrite(...args: unknown[]): boolean {
  const callback = args.find((argument): argument is Callback => typeof argument === 'function');
  const error = Object.assign(new Error('write after end'), { code: 'ERR_STREAM_WRITE_AFTER_END' });
  if (callback) queueMicrotask(() => callback(error));
  return false;
}

/** `end(callback)`, `end(chunk, callback)` and `end(chunk, encoding, callback)`, as Node reads them. */
function endArguments([chunk, encoding, callback]: unknown[]): {
  chunk: unknown;
  encoding: unknown;
  callback: (() => void) | undefined;
} {
  if (typeof chunk === 'function') return { chunk: undefined, encoding: undefined, callback: chunk as () => void };
  if (typeof encoding === 'function') return { chunk, encoding: undefined, callback: encoding as () => void };
  return { chunk, encoding, callback: typeof callback === 'function' ? (callback as () => void) : undefined };
}

/** Throws at once what Node would throw later, while the caller can still answer with an error. */
function assertSendable({ statusCode }: ServerResponse, chunk: unknown): void {
  if (!Number.isInteger(statusCode) || statusCode < 100 || statusCode > 999) {
    throw Object.assign(new RangeError(`Invalid status code: ${String(statusCode)}`), {
      code: 'ERR_HTTP_INVALID_STATUS_CODE',
    });
  }
  if (!chunk || typeof chunk === 'string' || chunk instanceof Uint8Array) return;
  throw Object.assign(
    new TypeError('The "chunk" argument must be of type string or an instance of Buffer or Uint8Array.'),
    { code: 'ERR_INVALID_ARG_TYPE' },
  );
}
