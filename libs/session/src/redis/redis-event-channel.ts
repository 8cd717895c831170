import { randomBytes } from 'node:crypto';
import type { SessionEvent } from '../model/events.js';
import { Listeners, type ListenerErrorHandler } from '../ports/listeners.js';
import { OwnAnnouncements } from './own-announcements.js';
import type { RedisConnection } from './redis-connection.js';
import { originOf, parseMessage } from './redis-events.js';

/** What all instances tell each other of. Listens from the first listener on, and again after each break. */
export class RedisEventChannel {
  readonly name: string;
  /** Names this instance. */
  readonly origin = randomBytes(6).toString('base64url');
  private readonly listeners: Listeners<SessionEvent>;
  private readonly gaps: Listeners<void>;
  private readonly own = new OwnAnnouncements((message) => this.tell(message));
  private foreign = 0;

  constructor(
    private readonly connection: RedisConnection,
    key: string,
    onListenerError?: ListenerErrorHandler,
  ) {
    this.name = connection.channelOf(key);
    this.listeners = new Listeners(onListenerError);
    this.gaps = new Listeners(onListenerError);
  }

  /** How many messages were not ours. */
  get ignored(): number {
    return this.foreign;
  }

  get isHeard(): boolean {
    return this.listeners.size > 0;
  }

  subscribe(listener: (event: SessionEvent) => void): () => void {
    const stop = this.listeners.add(listener);
    void this.listen();
    return stop;
  }

  /** Calls the listener when messages may have been missed and come again. */
  onGap(listener: () => void): () => void {
    return this.gaps.add(listener);
  }

  /** Tells the listeners of this instance. */
  emit(event: SessionEvent): void {
    this.listeners.emit(event);
  }

  /** Tells at once what this instance announced and the channel has not brought yet. */
  flush(): void {
    this.own.flush();
  }

  /** Takes what a script's answer says that it announced. */
  announced(messages: readonly string[]): void {
    if (this.isHeard) this.own.answered(messages.filter((message) => !isToldAlready(message)));
  }

  /** Resolves with the first subscription. */
  async listen(): Promise<void> {
    await this.connection.listen(
      this.name,
      (message) => this.heard(message),
      () => this.gaps.emit(),
    );
  }

  close(): void {
    this.own.flush();
    this.listeners.clear();
    this.gaps.clear();
  }

  private heard(message: string): void {
    if (originOf(message) !== this.origin) this.tell(message);
    else if (!isToldAlready(message)) this.own.heard(message);
  }

  private tell(message: string): void {
    const event = parseMessage(message, this.origin);
    if (event) this.listeners.emit(event);
    else this.foreign += 1;
  }
}

/** What a process found out it has told its listeners before any other. */
function isToldAlready(message: string): boolean {
  return message.startsWith('2 ');
}
