import type { INestApplication, WebSocketAdapter } from '@nestjs/common';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { WsAdapter } from '@nestjs/platform-ws';
import { io, type Socket } from 'socket.io-client';
import { WebSocket } from 'ws';

export const KINDS = ['socket.io', 'ws'] as const;
export type Kind = (typeof KINDS)[number];

/** How long a test waits for what must come, ms. */
const PATIENCE = 10_000;

export function adapterFor(kind: Kind, app: INestApplication): WebSocketAdapter {
  return kind === 'ws' ? new WsAdapter(app) : new IoAdapter(app);
}

export interface Handshake {
  headers?: Record<string, string>;
  ticket?: string;
  token?: string;
  path?: string;
  /** Of socket.io: `polling` begins as plain requests. */
  transports?: ('websocket' | 'polling')[];
}

export interface Closed {
  code: number;
  reason: string;
}

/** One client, of either kind. */
export interface TestSocket {
  /** Rejects with the body of the refusal. */
  readonly opened: Promise<void>;
  readonly closed: Promise<Closed>;
  /** Sends a message, and resolves with the answer, or with what came as an exception. */
  ask(event: string, data?: unknown): Promise<unknown>;
  send(event: string, data?: unknown): void;
  /** From now on nothing that the server sends is read. */
  stopReading(): void;
  close(): void;
}

const clients: TestSocket[] = [];

/** For `afterEach`. */
export function closeSockets(): void {
  for (const client of clients.splice(0)) client.close();
}

export function connect(kind: Kind, url: string, handshake: Handshake = {}): TestSocket {
  const client = kind === 'ws' ? connectWs(url, handshake) : connectIo(url, handshake);
  clients.push(client);
  client.opened.catch(() => undefined);
  return client;
}

function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing after ${PATIENCE} ms`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function connectWs(url: string, { headers = {}, ticket, path = '/' }: Handshake): TestSocket {
  const query = ticket === undefined ? '' : `?ticket=${ticket}`;
  const socket = new WebSocket(url.replace('http', 'ws') + path + query, { headers });
  const opened = new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
    socket.once('unexpected-response', (_request, response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => reject(Object.assign(new Error(body), refusalIn(body, response.statusCode))));
    });
  });
  const closed = new Promise<Closed>((resolve) => {
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  const waiting: ((answer: unknown) => void)[] = [];
  socket.on('message', (raw: Buffer) => {
    const answer = JSON.parse(raw.toString()) as { event?: string; data?: unknown };
    waiting.shift()?.(answer.event === 'exception' ? answer.data : answer);
  });
  const send = (event: string, data?: unknown): void => socket.send(JSON.stringify({ event, data }));
  return {
    opened: within(opened, 'open'),
    closed,
    send,
    ask: (event, data) => {
      const answer = new Promise<unknown>((resolve) => waiting.push(resolve));
      send(event, data);
      return within(answer, event);
    },
    stopReading: () => socket.pause(),
    close: () => socket.terminate(),
  };
}

function refusalIn(body: string, status: number | undefined): object {
  try {
    return JSON.parse(body) as object;
  } catch {
    return { statusCode: status };
  }
}

function connectIo(
  url: string,
  { headers = {}, ticket, token, path = '/', transports = ['websocket'] }: Handshake,
): TestSocket {
  const auth = { ...(ticket !== undefined && { ticket }), ...(token !== undefined && { token }) };
  const socket: Socket = io(url + path, {
    transports,
    extraHeaders: headers,
    auth,
    reconnection: false,
    forceNew: true,
  });
  const opened = new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('connect_error', (error) => reject(Object.assign(error, (error as { data?: object }).data)));
  });
  const closed = new Promise<Closed>((resolve) => {
    let why: Closed = { code: 0, reason: '' };
    socket.once('session-over', (told: Closed) => (why = told));
    socket.once('disconnect', (reason) => resolve(why.code === 0 ? { code: 0, reason } : why));
  });
  const waiting: ((answer: unknown) => void)[] = [];
  socket.on('exception', (answer) => waiting.shift()?.(answer));
  return {
    opened: within(opened, 'open'),
    closed,
    send: (event, data) => void socket.emit(event, data),
    ask: (event, data) => {
      const answer = new Promise<unknown>((resolve) => {
        waiting.push(resolve);
        socket.emit(event, data, (given: unknown) => {
          waiting.splice(waiting.indexOf(resolve), 1);
          resolve(given);
        });
      });
      return within(answer, event);
    },
    // The transport is that of ws here; its type is the browser's.
    stopReading: () => (socket.io.engine.transport as unknown as { ws: WebSocket }).ws.pause(),
    close: () => socket.close(),
  };
}
