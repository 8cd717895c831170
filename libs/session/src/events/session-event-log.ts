import { Logger, type OnModuleInit } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { logEntryOf } from '../model/event-log.js';
import type { SessionEvent } from '../model/events.js';
import type { EventLogLevel, ResolvedEventOptions } from '../options/event-options.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type { SessionEvents } from './session-events.js';

/** A damaged record is logged once in this time, ms: every request of its client reads it. */
const QUIET_FOR = 60_000;

/**
 * Logs each event as one line of JSON through Nest's logger, with names and severities of the OWASP logging vocabulary (ASVS
 * 5.0, 16.2.1 to 16.3.4). Only the instance that caused an event logs it.
 */
export class SessionEventLog implements OnModuleInit {
  private readonly logger = new Logger('SessionEvents');
  private readonly levels: ResolvedEventOptions['log'];
  private readonly damaged = new LRUCache<string, true>({ max: 1_000, ttl: QUIET_FOR });

  constructor(
    private readonly events: SessionEvents,
    { events: { log } }: ResolvedSessionOptions,
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
    // A revocation is a deliberate change, unlike the others.
    if (event.type === 'changed' && event.cause !== undefined && level === 'debug') return 'log';
    if (level !== 'warn' || logEntryOf(event).severity !== 'INFO') return level;
    // Ordinary client behaviour: a tab that was left open, an access token that is due for a refresh.
    return event.type === 'request-refused' && event.code !== 'invalid_token' ? 'log' : 'debug';
  }
}
