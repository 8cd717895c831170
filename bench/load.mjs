// A load generator that takes less time for a request than the fastest server measured here: with autocannon, Fastify waits for the
// load. Each connection sends the same bytes again and again, and looks at the status and the length of each answer.
import { connect } from 'node:net';

/**
 * One request at a time on each connection, as fast as the answers come, or `rate` requests a second in all.
 *
 * @param {{ port: number, requests: readonly string[], count: number, rate?: number }} options One connection for each of `requests`;
 *   `count` is the number of requests in all.
 * @returns {Promise<{ requests: number, failed: number, perSecond: number, latencies: number[] }>} `latencies` in ms, in order of
 *   size, only with `rate`: from the instant at which the request was due, whether or not a connection was free.
 */
export async function load({ port, requests, count, rate }) {
  const connections = await Promise.all(requests.map((request) => Connection.open(port, request)));
  const startedAt = performance.now();
  /** @type {number[]} */
  const latencies = [];
  await (rate === undefined ? flatOut(connections, count) : paced(connections, { count, rate, latencies }));
  const elapsed = (performance.now() - startedAt) / 1000;
  for (const connection of connections) connection.close();
  const sum = (/** @type {'answered' | 'failed'} */ field) =>
    connections.reduce((total, connection) => total + connection[field], 0);
  const answered = sum('answered');
  latencies.sort((a, b) => a - b);
  return { requests: answered, failed: sum('failed'), perSecond: answered / elapsed, latencies };
}

/** The bytes of a GET request. */
export function getRequest(/** @type {string} */ path, /** @type {Record<string, string>} */ headers) {
  const lines = Object.entries({ host: '127.0.0.1', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

class Connection {
  answered = 0;
  failed = 0;
  /** @type {() => void} */
  onAnswer = () => undefined;
  /** @type {Buffer | null} */
  #partial = null;
  /** Length of the last answer: most have the same. */
  #length = 0;
  #socket;
  #request;

  constructor(/** @type {import('node:net').Socket} */ socket, /** @type {string} */ request) {
    this.#socket = socket;
    this.#request = Buffer.from(request);
  }

  /** @returns {Promise<Connection>} */
  static open(/** @type {number} */ port, /** @type {string} */ request) {
    return new Promise((resolve, reject) => {
      /** @type {Connection} */
      let connection;
      const socket = connect({
        port,
        host: '127.0.0.1',
        noDelay: true,
        onread: {
          buffer: Buffer.allocUnsafe(16_384),
          callback: (count, buffer) => {
            connection.#receive(Buffer.from(buffer.buffer, buffer.byteOffset, count));
            return true;
          },
        },
      });
      connection = new Connection(socket, request);
      socket.once('connect', () => resolve(connection));
      socket.once('error', reject);
      socket.once('close', () => connection.#broke());
    });
  }

  send() {
    this.#socket.write(this.#request);
  }

  close() {
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }

  #broke() {
    this.failed += 1;
    this.onAnswer();
  }

  #receive(/** @type {Buffer} */ chunk) {
    const bytes = this.#partial ? Buffer.concat([this.#partial, chunk]) : chunk;
    if (bytes.length !== this.#length && !isWhole(bytes)) {
      this.#partial = Buffer.from(bytes);
      return;
    }
    this.#partial = null;
    this.#length = bytes.length;
    this.answered += 1;
    // "HTTP/1.1 2": any other answer means that something else was measured.
    if (bytes[9] !== 0x32) this.failed += 1;
    this.onAnswer();
  }
}

function isWhole(/** @type {Buffer} */ bytes) {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(bytes.toString('latin1', 0, end))?.[1];
  if (length === undefined) throw new Error('the load generator reads only answers with a Content-Length');
  return bytes.length >= end + 4 + Number(length);
}

function flatOut(/** @type {readonly Connection[]} */ connections, /** @type {number} */ count) {
  let left = count;
  return Promise.all(
    connections.map(
      (connection) =>
        new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
          const next = () => {
            left -= 1;
            if (left >= 0) connection.send();
            else resolve();
          };
          connection.onAnswer = next;
          next();
        }),
    ),
  );
}

/** @param {{ count: number, rate: number, latencies: number[] }} options */
async function paced(/** @type {readonly Connection[]} */ connections, { count, rate, latencies }) {
  const free = [...connections];
  /** @type {number[]} */
  const waiting = [];
  const send = (/** @type {Connection} */ connection, /** @type {number} */ due) => {
    connection.onAnswer = () => {
      latencies.push(performance.now() - due);
      const next = waiting.shift();
      if (next === undefined) free.push(connection);
      else send(connection, next);
    };
    connection.send();
  };
  const startedAt = performance.now();
  let sent = 0;
  while (sent < count) {
    const now = performance.now();
    const due = Math.min(count, Math.floor(((now - startedAt) / 1000) * rate));
    for (; sent < due; sent += 1) {
      const connection = free.pop();
      // A request that finds no free connection waits for the server; that the timer comes late is not the server's doing.
      if (connection) send(connection, now);
      else waiting.push(now);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  while (free.length < connections.length) await new Promise((resolve) => setTimeout(resolve, 5));
}
