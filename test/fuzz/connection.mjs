// eslint-disable-next-line @typescript-eslint/ban-ts-comment -- a script that builds nonsense on purpose; it is run, not compiled
// @ts-nocheck
import { connect } from 'node:net';

/** Sends raw requests one after another, and reads no more of an answer than its status and its length. */
export class Connection {
  #port;
  #socket = null;

  constructor(port) {
    this.#port = port;
  }

  /**
   * @param {Buffer} bytes
   * @param {number} timeout ms
   * @returns {Promise<number | 'slow' | 'closed'>} the status
   */
  async send(bytes, timeout) {
    const socket = (this.#socket ??= connect(this.#port, '127.0.0.1'));
    return new Promise((resolve) => {
      let received = Buffer.alloc(0);
      const settle = (outcome, isReusable) => {
        clearTimeout(timer);
        for (const event of ['data', 'error', 'close']) socket.removeAllListeners(event);
        if (!isReusable) this.close();
        resolve(outcome);
      };
      const timer = setTimeout(() => settle('slow', false), timeout);
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, chunk]);
        const answer = read(received);
        if (answer) settle(answer.status, answer.isReusable);
      });
      socket.on('error', () => settle(statusOf(received) ?? 'closed', false));
      socket.on('close', () => settle(statusOf(received) ?? 'closed', false));
      socket.write(bytes);
    });
  }

  close() {
    this.#socket?.on('error', () => undefined).destroy();
    this.#socket = null;
  }
}

function statusOf(received) {
  const match = /^HTTP\/1\.1 (\d{3})/.exec(received.subarray(0, 16).toString('latin1'));
  return match ? Number(match[1]) : null;
}

/** The status once the answer is complete, or null. Only an answer of known length leaves the connection reusable. */
function read(received) {
  const end = received.indexOf('\r\n\r\n');
  const status = statusOf(received);
  if (end < 0 || status === null) return null;
  const head = received.subarray(0, end).toString('latin1');
  const length = /^content-length: *(\d+)/im.exec(head);
  if (status === 204 || status === 304) return { status, isReusable: isKept(head) };
  if (!length) return { status, isReusable: false };
  return received.length >= end + 4 + Number(length[1]) ? { status, isReusable: isKept(head) } : null;
}

function isKept(head) {
  return !/^connection: *close/im.test(head);
}
