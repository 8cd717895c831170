import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionStore } from '../ports/session-store.js';
import { SessionEvents } from '../services/session-events.js';
import { SessionHistoryWriter } from '../services/session-history-writer.js';
import { SessionToucher } from '../services/session-toucher.js';
import { SessionAdapters } from './session-adapters.js';

/** Waits for the store at boot, and closes it once no request can come any more. */
@Injectable()
export class SessionLifecycle implements OnModuleInit, OnApplicationShutdown {
  constructor(
    @Inject(SessionStore) private readonly store: SessionStore,
    @Inject(SessionAdapters) private readonly adapters: SessionAdapters,
    @Inject(SessionToucher) private readonly toucher: SessionToucher,
    @Inject(SessionEvents) private readonly events: SessionEvents,
    @Inject(SessionHistoryWriter) private readonly history: SessionHistoryWriter,
    @Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
  ) {}

  async onModuleInit(): Promise<void> {
    this.warnOfInsecureCookie();
    this.warnOfNearCache();
    try {
      await this.store.ready();
    } catch (error) {
      // A boot that fails must not leave a connection that keeps the process alive.
      await this.adapters.close();
      throw error;
    }
  }

  /** Not earlier: between `onModuleDestroy` and this, the last requests are still answered. */
  async onApplicationShutdown(): Promise<void> {
    await this.toucher.settle();
    this.events.onApplicationShutdown();
    await this.history.settle();
    await this.adapters.close();
  }

  private warnOfNearCache(): void {
    if (!this.options.nearCache) return;
    new Logger('SessionModule').warn('nearCache has no effect in this version: every request asks the store.');
  }

  private warnOfInsecureCookie(): void {
    if (this.options.cookie.secure || process.env['NODE_ENV'] !== 'production') return;
    new Logger('SessionModule').warn(
      'The session cookie travels over plain http, where anybody on the way can read it. Serve https and leave out cookie.secure.',
    );
  }
}
