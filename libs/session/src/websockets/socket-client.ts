import type { SessionOverReason } from '../http/streams/watched-sessions.js';

/** Close codes of sockets (RFC 6455, 7.4.2, the range for applications). */
export const SOCKET_CLOSED = {
  /** The session is over; the close reason says why. */
  sessionOver: 4401,
  /** The session has more sockets than it may; this was the oldest. */
  tooMany: 4429,
} as const;

/** What a socket.io client hears under `session-over` before it is disconnected. The codes are those of WebSocket. */
export interface SessionSocketClosed {
  code: (typeof SOCKET_CLOSED)[keyof typeof SOCKET_CLOSED];
  reason: SessionOverReason | 'too-many-sockets';
}

/** How long a client may take to answer a close before it is cut off, ms. */
const CLOSE_PATIENCE = 2_000;

interface Cuttable {
  terminate(): void;
  once(event: 'close', listener: () => void): unknown;
}

/** What is used of a client of ws. */
interface WsClient extends Cuttable {
  readonly readyState: number;
  close(code: number, reason: string): void;
}

/** What is used of a client of socket.io. */
export interface IoClient {
  emit(event: string, data: object): unknown;
  disconnect(close: boolean): unknown;
  once(event: 'disconnect', listener: () => void): unknown;
  /** Of engine.io: the innermost is a socket of ws, unless the transport is long polling. */
  readonly conn?: { readonly transport?: { readonly socket?: Partial<Cuttable> } };
}

export type SocketClient = object & (WsClient | IoClient);

function isWs(client: SocketClient): client is WsClient {
  return 'readyState' in client && 'terminate' in client;
}

/** Tells the client why, and closes its socket. One that does not answer, or does not read, is cut off. */
export function closeSocket(client: SocketClient, { code, reason }: SessionSocketClosed): void {
  if (isWs(client)) {
    client.close(code, reason);
    cutOff(client);
    return;
  }
  // Engine.io forgets its socket at once, and ws then waits for 30 seconds.
  const socket = client.conn?.transport?.socket;
  client.emit('session-over', { code, reason } satisfies SessionSocketClosed);
  client.disconnect(true);
  if (isCuttable(socket)) cutOff(socket);
}

function cutOff(socket: Cuttable): void {
  const timer = setTimeout(() => socket.terminate(), CLOSE_PATIENCE).unref();
  socket.once('close', () => clearTimeout(timer));
}

function isCuttable(socket: Partial<Cuttable> | undefined): socket is Cuttable {
  return typeof socket?.terminate === 'function' && typeof socket.once === 'function';
}

/** Calls the listener once the socket has closed, on either side. */
export function onSocketClosed(client: SocketClient, listener: () => void): void {
  if (isWs(client)) client.once('close', listener);
  else client.once('disconnect', listener);
}
