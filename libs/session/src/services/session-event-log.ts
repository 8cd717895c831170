import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { logEntryOf } from '../model/event-log.js';
import type { SessionEvent } from '../model/events.js';
import type { EventLogLevel, ResolvedEventOptions } from '../options/event-options.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionEvents } from './session-events.js';

/** One damaged record is read by every request of its client, ms. */
const QUIET_FOR = 60_000;

/**
 * Writes one line for each event through Nest's logger, JSON with names and severities after the OWASP logging vocabulary (ASVS
 * 5.0, 16.2.1 to 16.3.4). Each event is logged by the instance that caused it, and by no other.
 */
@Injectable()
export class SessionEventLog implements OnModuleInit {
  private readonly logger = new Logger('SessionEvents');
  private readonly levels: ResolvedEventOptions['log'];
  private readonly damaged = new LRUCache<string, true>({ max: 1_000, ttl: QUIET_FOR });

  constructor(
    @Inject(SessionEvents) private readonly events: SessionEvents,
    @Inject(SESSION_OPTIONS) { events: { log } }: ResolvedSessionOptions,
  ) {
    this.levels = log;
  }

  onModuleInit(): void {
    if (this.levels) this.events.all$.subscribe((event) => this.write(event));
  }

  private write(event: SessionEvent): void {
    if (event.remote || !this.levels) return;
    const level = this.levelOf(event, this.levels);
    if (level === 'off') return;
    this.logger[level](JSON.stringify(logEntryOf(event)));
  }

  private levelOf(event: SessionEvent, levels: NonNullable<ResolvedEventOptions['log']>): EventLogLevel {
    if (event.type === 'damaged') {
      if (this.damaged.has(event.sessionId)) return 'off';
      this.damaged.set(event.sessionId, true);
    }
    const level = levels[event.type];
    // Among all changes the one that somebody asked for.
    if (event.type === 'changed' && event.cause !== undefined && level === 'debug') return 'log';
    // What comes back after an ordinary end is everyday life: a tab that was open over lunch.
    const isEveryday = event.type === 'use-after-end' && logEntryOf(event).severity === 'INFO';
    return isEveryday && level === 'warn' ? 'debug' : level;
  }
}
