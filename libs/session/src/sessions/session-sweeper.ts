import { Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { messageOf } from '../model/error-text.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionStore } from '../ports/session-store.js';

/** A full sweep is spread over this many steps, so that the load is even. */
const PARTS = 32;

/**
 * Removes expired sessions, step by step over `sweeper.interval`; the store decides what a step does. Its timer does
 * not keep the process alive.
 */
export class SessionSweeper implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(SessionSweeper.name);
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | null = null;
  private part = 0;
  private failing = false;

  constructor(
    private readonly store: SessionStore,
    private readonly options: Pick<ResolvedSessionOptions, 'sweeper'>,
  ) {}

  onApplicationBootstrap(): void {
    const { sweeper } = this.options;
    if (!sweeper) return;
    const step = Math.max(1, Math.ceil(sweeper.interval / PARTS));
    this.timer ??= setInterval(() => this.tick(sweeper.interval), step).unref();
  }

  async onModuleDestroy(): Promise<void> {
    clearInterval(this.timer);
    this.timer = undefined;
    await this.running;
    if (!this.options.sweeper) return;
    // A lease that cannot be released expires.
    await this.store.stopSweeping().catch(() => undefined);
  }

  private tick(interval: number): void {
    this.running ??= this.sweepPart(interval).finally(() => {
      this.running = null;
    });
  }

  private async sweepPart(interval: number): Promise<void> {
    try {
      await this.store.sweepStep({ part: this.part, of: PARTS, interval });
      this.part = (this.part + 1) % PARTS;
      this.failing = false;
    } catch (error) {
      // The next tick tries the same part again.
      if (!this.failing) this.logger.warn(`Expired sessions cannot be removed: ${messageOf(error)}`);
      this.failing = true;
    }
  }
}
