import type { TestingModuleBuilder } from '@nestjs/testing';
import { MemorySessionStore } from '../memory/memory-session-store.js';
import { MemoryTokenBlacklist } from '../memory/memory-token-blacklist.js';
import { ConfigurationError } from '../model/errors.js';
import { RAW_SESSION_OPTIONS } from '../module/tokens.js';
import type { Duration } from '../options/duration.js';
import { requireOptions } from '../options/given-options.js';
import { resolveSessionOptions } from '../options/resolve-options.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionModuleOptions } from '../options/session-module-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { TestClock } from './test-clock.js';

export interface MemorySessionsOptions {
  /**
   * Options in place of the application's own, which are then not made: for applications whose `useFactory` asks for what a test
   * does not have. Default: the application's options, without its store, blacklist and Redis.
   */
  options?: SessionModuleOptions;
}

/** The sessions of an application under test, and their time. */
export class MemorySessions {
  private readonly clock = new TestClock();
  private kept: MemorySessionStore | null = null;
  private readonly ofRealms: MemorySessionStore[] = [];

  /** @internal The options of the application, with adapters in memory. */
  readonly resolve = (given: SessionModuleOptions): ResolvedSessionOptions => {
    const { redis: _redis, store: _store, blacklist: _blacklist, ...options } = requireOptions(given);
    const resolved = resolveSessionOptions(options);
    const { store, blacklist } = this.adapters(resolved);
    this.kept = store;
    const realmAdapters = (ofRealm: ResolvedSessionOptions): ReturnType<MemorySessions['adapters']> => {
      const made = this.adapters(ofRealm);
      this.ofRealms.push(made.store);
      return made;
    };
    return Object.freeze({ ...resolved, store, blacklist, nearCache: null, realmAdapters });
  };

  private adapters({ adapter, clockTolerance, tenant }: ResolvedSessionOptions): {
    store: MemorySessionStore;
    blacklist: MemoryTokenBlacklist;
  } {
    const clock = this.clock.now;
    return {
      store: new MemorySessionStore({ ...adapter, clock }),
      blacklist: new MemoryTokenBlacklist({ clockTolerance, tenant, clock }),
    };
  }

  /** Where the application's own sessions are kept; those of realms are in stores of their own. @throws {ConfigurationError} before the module is compiled. */
  get store(): MemorySessionStore {
    if (this.kept) return this.kept;
    throw new ConfigurationError(
      'useMemorySessions: the module is not compiled yet, or does not import SessionModule. Call compile() first.',
    );
  }

  /** The time of the sessions, epoch ms. */
  now(): number {
    return this.clock.now();
  }

  /**
   * Moves the time of the sessions, not that of the process: timers go on as before. Sessions past a deadline end, and their
   * events have been heard when this resolves.
   *
   * @param duration Milliseconds, or a text such as `'31m'`.
   */
  async advance(duration: Duration): Promise<void> {
    this.clock.advance(duration);
    for (const store of [this.store, ...this.ofRealms]) await store.sweep();
  }
}

/**
 * Has the application of a testing module keep its sessions in memory, whatever its options say, with a time that the test moves.
 * Call it before `compile()`. Everything else is as in the application: guards, cookies, timeouts, policies.
 *
 * ```ts
 * const builder = Test.createTestingModule({ imports: [AppModule] });
 * const sessions = useMemorySessions(builder);
 * const app = (await builder.compile()).createNestApplication();
 * await app.init();
 * await sessions.advance('31m');
 * ```
 */
export function useMemorySessions(
  builder: Pick<TestingModuleBuilder, 'overrideProvider'>,
  { options }: MemorySessionsOptions = {},
): MemorySessions {
  const sessions = new MemorySessions();
  if (options) builder.overrideProvider(RAW_SESSION_OPTIONS).useValue(options);
  builder.overrideProvider(SESSION_OPTIONS).useFactory({ factory: sessions.resolve, inject: [RAW_SESSION_OPTIONS] });
  return sessions;
}
