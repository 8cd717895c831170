import { randomBytes } from 'node:crypto';
import type { SessionEvent } from '../../model/events.js';
import type { HearingWatch } from '../../ports/hearing-watch.js';
import { Listeners, type ListenerErrorHandler } from '../../ports/listeners.js';
import { EchoFilter } from './echo-filter.js';
import type { RedisConnection } from '../connection/redis-connection.js';
import {
  heartbeat,
  originOf,
  parseDeadline,
  parseHeartbeat,
  parseMessage,
  parseRefusal,
  type SessionDeadline,
  type SweeperHeartbeat,
} from './wire-format.js';

/** The channel between all instances. Listens from the first listener on, and again after each break. */
export class RedisEventChannel {
  readonly name: string;
  /** Names this instance. */
  readonly origin = randomBytes(6).toString('base64url');
  private readonly listeners: Listeners<SessionEvent>;
  private readonly gaps: Listeners<void>;
  private readonly deadlines = new Listeners<SessionDeadline>();
  private readonly heartbeats = new Listeners<SweeperHeartbeat>();
  private readonly own = new EchoFilter((message) => this.tell(message));
  private foreign = 0;
  private stopHearing: (() => void) | null = null;

  constructor(
    private readonly connection: RedisConnection,
    key: string,
    onListenerError?: ListenerErrorHandler,
  ) {
    this.name = connection.channelOf(key);
    this.listeners = new Listeners(onListenerError);
    this.gaps = new Listeners(onListenerError);
  }

  /** Number of messages that this library did not publish. */
  get ignored(): number {
    return this.foreign;
  }

  get isHeard(): boolean {
    return this.listeners.size > 0 || this.deadlines.size > 0;
  }

  subscribe(listener: (event: SessionEvent) => void): () => void {
    const stop = this.listeners.add(listener);
    void this.listen();
    return stop;
  }

  /** Calls the listener when messages may have been missed and the subscription is back. */
  onGap(listener: () => void): () => void {
    return this.gaps.add(listener);
  }

  /** Calls the listener with each session deadline that is new or became earlier, of this instance and others. */
  onDeadline(listener: (deadline: SessionDeadline) => void): () => void {
    return this.deadlines.add(listener);
  }

  /** Calls the listener when another instance announces that it sweeps, or stops. */
  onHeartbeat(listener: (heartbeat: SweeperHeartbeat) => void): () => void {
    return this.heartbeats.add(listener);
  }

  /** Calls the listeners of this instance. */
  emit(event: SessionEvent): void {
    this.listeners.emit(event);
  }

  /** Announces to other instances that this one sweeps. Does not wait; the next heartbeat makes up for a lost one. */
  sendHeartbeat(ttl: number): void {
    this.connection.client.publish(this.name, heartbeat({ origin: this.origin, ttl })).catch(() => undefined);
  }

  /** Delivers at once what this instance announced and the channel has not brought yet. */
  flush(): void {
    this.own.flush();
  }

  /** Takes the announcements in a script's answer. */
  announced(messages: readonly string[]): void {
    if (this.isHeard) this.own.answered(messages.filter((message) => !isToldAlready(message)));
  }

  /** Reports whether announcements arrive. */
  watchHearing(watch: HearingWatch): () => void {
    this.stopHearing ??= this.hear();
    return this.connection.watchHearing(this.name, watch);
  }

  /** Resolves with the first subscription. */
  async listen(): Promise<void> {
    this.stopHearing ??= this.hear();
    await this.connection.listening(this.name);
  }

  close(): void {
    this.stopHearing?.();
    this.own.flush();
    this.listeners.clear();
    this.gaps.clear();
    this.deadlines.clear();
    this.heartbeats.clear();
  }

  private hear(): () => void {
    return this.connection.hear(
      this.name,
      (message) => this.heard(message),
      () => this.gaps.emit(),
    );
  }

  private heard(message: string): void {
    // An instance has tested its permission to publish; or the message is the blacklist's, which listens by itself.
    if (message === '' || parseRefusal(message)) return;
    if (originOf(message) !== this.origin) this.tell(message);
    else if (!isToldAlready(message)) this.own.heard(message);
  }

  private tell(message: string): void {
    const deadline = parseDeadline(message);
    if (deadline) this.deadlines.emit(deadline);
    const event = parseMessage(message, this.origin);
    if (event) {
      this.listeners.emit(event);
      return;
    }
    const beat = deadline ? null : parseHeartbeat(message);
    if (beat && beat.origin !== this.origin) this.heartbeats.emit(beat);
    if (!deadline && !beat) this.foreign += 1;
  }
}

/** The process that found the event has already called its own listeners. */
function isToldAlready(message: string): boolean {
  return message.startsWith('2 ');
}
