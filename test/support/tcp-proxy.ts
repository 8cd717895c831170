import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface ProxyCounts {
  /** Bytes from clients to the server. */
  toServer: number;
  /** Bytes from the server, also those that were dropped. */
  toClient: number;
  connections: number;
  /** Replies that were swallowed on request. */
  dropped: number;
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  awaitsReply: boolean;
  /** What is held for the delay, in the order of its arrival. */
  readonly held: { readonly at: number; readonly send: () => void }[];
  silent: boolean;
  deaf: boolean;
}

/** Starts a TCP proxy before a server of 127.0.0.1, to count what passes and to break the connection at will. */
export async function startProxy({
  targetPort,
  targetHost = '127.0.0.1',
}: {
  targetPort: number;
  targetHost?: string;
}): Promise<TcpProxy> {
  const proxy = new TcpProxy(targetPort, targetHost);
  await proxy.listen();
  return proxy;
}

export class TcpProxy {
  readonly #links = new Set<Link>();
  readonly #listener: Server;
  #delay = 0;
  #blackhole = false;
  #dropNext: 'reset' | 'silence' | undefined;
  #counts: ProxyCounts = none();
  #roundTrips = 0;

  constructor(
    private targetPort: number,
    private readonly targetHost: string,
  ) {
    this.#listener = createServer({ noDelay: true }, (client) => this.#link(client));
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  get counts(): Readonly<ProxyCounts> {
    return { ...this.#counts };
  }

  /** Connections of clients that are open now. */
  get openConnections(): number {
    return this.#links.size;
  }

  /** How often a connection turned from sending to receiving: the number of waits one after another. A pipeline is one. */
  get roundTrips(): number {
    return this.#roundTrips;
  }

  resetCounts(): void {
    this.#counts = none();
    this.#roundTrips = 0;
  }

  /** Holds everything the server sends for so many milliseconds. */
  setDelay(ms: number): void {
    this.#delay = ms;
  }

  /**
   * Swallows what the server sends next, on whichever connection. Then that connection is reset, as when a server
   * has done its work and the network fails before the answer; or, with `silence`, it stays open and mute for good.
   */
  dropNextReply({ then = 'reset' }: { then?: 'reset' | 'silence' } = {}): void {
    this.#dropNext = then;
  }

  /** New connections lead to another server, as after a change of an address. */
  retarget(port: number): void {
    this.targetPort = port;
  }

  /** Breaks all connections of this moment with a TCP reset. New ones are welcome. */
  reset(): void {
    for (const link of this.#links) breakLink(link);
  }

  /**
   * Makes all connections of this moment mute for good: they stay open and swallow what is sent. New ones work. So do
   * connections after a failover of a load balancer, or behind a firewall that forgot them.
   */
  muteOpenLinks(): void {
    for (const link of this.#links) {
      link.silent = true;
      link.deaf = true;
    }
  }

  /** While on, no byte passes in either direction and no connection ends; bytes sent meanwhile pass once it is off. */
  blackhole(on: boolean): void {
    this.#blackhole = on;
    for (const { client, server } of this.#links) {
      for (const socket of [client, server]) {
        if (on) socket.pause();
        else socket.resume();
      }
    }
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#listener.once('error', reject);
      this.#listener.listen(0, '127.0.0.1', resolve);
    });
  }

  /** Ends all connections and stops listening. Safe to repeat. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#listener.close(() => resolve()));
    for (const { client, server } of this.#links) {
      client.destroy();
      server.destroy();
    }
    await closed;
  }

  #link(client: Socket): void {
    const server = connect({ port: this.targetPort, host: this.targetHost, noDelay: true });
    const link: Link = { client, server, awaitsReply: false, held: [], silent: false, deaf: false };
    this.#links.add(link);
    this.#counts.connections++;
    client.on('data', (chunk) => this.#toServer(link, chunk));
    server.on('data', (chunk) => this.#toClient(link, chunk));
    client.on('end', () => server.end());
    server.on('end', () => this.#later(link, () => client.end()));
    client.on('error', () => breakLink(link));
    server.on('error', () => breakLink(link));
    client.on('close', () => {
      this.#links.delete(link);
      server.destroy();
    });
    if (this.#blackhole) {
      client.pause();
      server.pause();
    }
  }

  #toServer(link: Link, chunk: Buffer): void {
    this.#counts.toServer += chunk.length;
    link.awaitsReply = true;
    if (link.deaf) return;
    link.server.write(chunk);
  }

  #toClient(link: Link, chunk: Buffer): void {
    this.#counts.toClient += chunk.length;
    if (link.awaitsReply) this.#roundTrips++;
    link.awaitsReply = false;
    if (link.silent) return;
    if (this.#dropNext !== undefined) {
      this.#counts.dropped++;
      link.silent = true;
      if (this.#dropNext === 'reset') breakLink(link);
      this.#dropNext = undefined;
      return;
    }
    this.#later(link, () => link.client.write(chunk));
  }

  /** After the delay, and never before what arrived earlier: two timers that end together may fire in either order. */
  #later(link: Link, send: () => void): void {
    if (this.#delay === 0 && link.held.length === 0) {
      send();
      return;
    }
    link.held.push({ at: performance.now() + this.#delay, send });
    if (link.held.length === 1) sendWhenDue(link);
  }
}

function sendWhenDue(link: Link): void {
  const [first] = link.held;
  if (!first) return;
  const left = first.at - performance.now();
  if (left > 0) {
    setTimeout(() => sendWhenDue(link), Math.ceil(left)).unref();
    return;
  }
  link.held.shift();
  first.send();
  sendWhenDue(link);
}

function breakLink({ client, server }: Link): void {
  client.resetAndDestroy();
  server.destroy();
}

function none(): ProxyCounts {
  return { toServer: 0, toClient: 0, connections: 0, dropped: 0 };
}
