import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import type { SessionCore } from '../core/session-core.js';
import { SESSION_CORE } from '../core/tokens.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionStore } from '../ports/session-store.js';
import { SessionEvents } from '../events/session-events.js';
import { SessionHistoryWriter } from '../events/session-history-writer.js';
import { SessionToucher } from '../sessions/session-toucher.js';
import { SessionAdapters } from './session-adapters.js';

/** Waits for the store at boot, and closes it once no more requests can arrive. */
@Injectable()
export class SessionLifecycle implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown {
  private finished: Promise<void> | null = null;

  constructor(
    private readonly store: SessionStore,
    private readonly adapters: SessionAdapters,
    private readonly toucher: SessionToucher,
    private readonly events: SessionEvents,
    private readonly history: SessionHistoryWriter,
    @Inject(SESSION_CORE) private readonly core: SessionCore,
    @Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions,
  ) {}

  async onModuleInit(): Promise<void> {
    this.warnOfInsecureCookie();
    for (const warning of this.options.warnings) new Logger('SessionModule').warn(warning);
    try {
      await this.store.ready();
    } catch (error) {
      // A failed boot must not leave a connection that keeps the process alive.
      await this.adapters.abandon();
      throw error;
    }
  }

  /** While listeners are still subscribed. */
  beforeApplicationShutdown(): void {
    this.core.reports.flush();
  }

  /** No earlier: the last requests are answered between `onModuleDestroy` and this hook. */
  async onApplicationShutdown(): Promise<void> {
    await this.finish();
    await this.adapters.close();
  }

  /** Done once, while the adapters are open: those of a realm close with the application's, whichever Nest shuts down first. */
  finish(): Promise<void> {
    return (this.finished ??= this.settle());
  }

  private async settle(): Promise<void> {
    await this.toucher.settle();
    this.events.onApplicationShutdown();
    await this.history.settle();
    this.core.cleanUp();
  }

  private warnOfInsecureCookie(): void {
    if (this.options.cookie.secure || process.env['NODE_ENV'] !== 'production') return;
    new Logger('SessionModule').warn(
      'The session cookie travels over plain http, where anybody on the network path can read it. Use https and omit cookie.secure.',
    );
  }
}
