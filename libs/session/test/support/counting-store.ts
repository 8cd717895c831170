import { MemorySessionStore, type MemorySessionStoreOptions } from '../../src/memory/memory-session-store.js';
import { StoreUnavailableError } from '../../src/model/errors.js';

const READS = ['read', 'get', 'getActiveSessions', 'findByDevice', 'count'] as const;
const WRITES = [
  'create',
  'touch',
  'update',
  'updateUser',
  'rotate',
  'regenerate',
  'destroy',
  'destroyAll',
  'revokeTokens',
] as const;

type Command = (typeof READS)[number] | (typeof WRITES)[number];

/** A memory store that writes down what it is asked, whose time the test moves, and that can be down. */
export class CountingStore extends MemorySessionStore {
  readonly commands: Command[] = [];
  time: { now: number };
  /** Every command fails. */
  down = false;
  /** These fail. */
  readonly failing = new Set<Command>();

  constructor(options: MemorySessionStoreOptions = {}) {
    const time = { now: Date.now() };
    super({ ...options, clock: () => time.now });
    this.time = time;
    for (const command of [...READS, ...WRITES]) {
      // `create` calls `createLive`, which the services call as well.
      const method = command === 'create' ? 'createLive' : command;
      const original = this[method].bind(this) as (...args: never[]) => Promise<unknown>;
      Object.defineProperty(this, method, {
        writable: true,
        value: async (...args: never[]) => {
          this.commands.push(command);
          if (this.down || this.failing.has(command))
            throw new StoreUnavailableError('connect ECONNREFUSED redis-7.internal:6379 {tag}:user:secretkey');
          return original(...args);
        },
      });
    }
  }

  get reads(): number {
    return this.commands.filter((command) => (READS as readonly string[]).includes(command)).length;
  }

  get writes(): number {
    return this.commands.length - this.reads;
  }

  forget(): void {
    this.commands.length = 0;
  }

  advance(ms: number): void {
    this.time.now += ms;
  }
}
