import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionStore } from '../ports/session-store.js';

/** Into how many steps a sweep of everything is spread, so that no instant bears all of it. */
const PARTS = 32;

/** Removes what is past its deadline, step by step over `sweeper.interval`. Its timer keeps no process alive. */
@Injectable()
export class SessionSweeper implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(SessionSweeper.name);
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | null = null;
  private part = 0;
  private failing = false;

  constructor(
    @Inject(SessionStore) private readonly store: SessionStore,
    @Inject(SESSION_OPTIONS) private readonly options: Pick<ResolvedSessionOptions, 'sweeper'>,
  ) {}

  onApplicationBootstrap(): void {
    const step = Math.max(1, Math.ceil(this.options.sweeper.interval / PARTS));
    this.timer ??= setInterval(() => this.tick(), step).unref();
  }

  async onModuleDestroy(): Promise<void> {
    clearInterval(this.timer);
    this.timer = undefined;
    await this.running;
  }

  private tick(): void {
    this.running ??= this.sweepPart().finally(() => {
      this.running = null;
    });
  }

  private async sweepPart(): Promise<void> {
    try {
      await this.store.sweep({ part: this.part, of: PARTS });
      this.part = (this.part + 1) % PARTS;
      this.failing = false;
    } catch (error) {
      // The same part is tried again at the next tick.
      if (!this.failing)
        this.logger.warn(
          `Expired sessions cannot be removed: ${error instanceof Error ? error.message : String(error)}`,
        );
      this.failing = true;
    }
  }
}
