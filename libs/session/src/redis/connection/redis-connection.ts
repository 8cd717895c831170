// Over 300 lines because every wait, retry and circuit of a command shares the state of one connection.
import type { Cluster, Redis } from 'ioredis';
import { messageOf } from '../../model/error-text.js';
import { ConfigurationError, StoreUnavailableError } from '../../model/errors.js';
import type { HearingWatch } from '../../ports/hearing-watch.js';
import type { StoreWait } from '../../ports/store-wait.js';
import { isRedisClient, type RedisClient, type RedisOption } from '../../options/redis-option.js';
import { bootObstacle } from './boot-obstacle.js';
import { missingSettings, refuseReplicaReads } from './client-settings.js';
import { CommandTurn, DemotedError } from './command-turn.js';
import { NodeCircuit } from './node-circuit.js';
import { openClient } from './open-client.js';
import type { OpenConnection } from './open-connection.js';
import type { RedisClock } from './redis-clock.js';
import { ReadBatch, readHashOf, type HashValues } from './read-batch.js';
import { RedisClocks } from './redis-clocks.js';
import { RedisSubscription } from './redis-subscription.js';
import { isConnectionError, isReadOnly, RedisTrouble } from './redis-trouble.js';
import { diagnose, type ServerDiagnosis, type ServersDiagnosis } from './server-diagnosis.js';
import { RIGHTS_PROBE, type ServerFinding } from './server-report.js';
import { pause, within } from './within.js';

const READY_TIMEOUT = 10_000;
/** Pause before a command is sent again, for cases without an event for the reconnect, ms. */
const RETRY = 25;
/** How long a boot waits although the server refuses it, ms: a configuration may just be changing. */
const BOOT_PATIENCE = 1_000;

export interface RedisConnectionSettings {
  /** Longest wait for an answer, ms, whatever the client's own settings are. */
  readonly commandTimeout: number;
  /** Longest wait for the first connection, ms. Default 10,000. */
  readonly readyTimeout?: number | undefined;
}

/** One client, opened by the library or adopted, with the clocks of its servers and a timeout for every wait. */
export class RedisConnection {
  readonly trouble = new RedisTrouble();
  private readonly clocks: RedisClocks;
  private readonly subscriptions = new Map<string, RedisSubscription>();
  /** By name of the server. A client without Cluster has one, with an empty name. */
  private readonly circuits = new Map<string, NodeCircuit>();
  private readonly renewals = new Set<() => void>();
  /** Commands that wait for a connection. */
  private readonly waiting = new Set<() => void>();
  private turn: CommandTurn | null = null;
  /** The reads of this turn. */
  private batch: ReadBatch | null = null;
  private asksRole: boolean;
  private demoted: unknown = null;
  private lastError: unknown = null;
  private closed = false;

  constructor(
    readonly client: Redis | Cluster,
    readonly settings: RedisConnectionSettings,
    /** Whether `close` ends the client as well. */
    private readonly owned = false,
  ) {
    refuseReplicaReads(client);
    // A demoted node of a Cluster answers MOVED.
    this.asksRole = !client.isCluster;
    this.clocks = new RedisClocks(client, (command) => this.askServer(command), settings.commandTimeout);
    client.on('error', this.onError);
    client.on('ready', this.onReady);
    client.on('end', this.onEnd);
  }

  /**
   * Connects as the option says, or adopts the client in it.
   *
   * @throws {ConfigurationError} if ioredis is not installed, or the client reads from replicas.
   */
  static async open(option: RedisOption, settings: RedisConnectionSettings): Promise<RedisConnection> {
    if (isRedisClient(option)) return RedisConnection.of(option, settings);
    const client = await openClient(option, settings.commandTimeout);
    try {
      return new RedisConnection(client, settings, true);
    } catch (error) {
      // The options are refused, so nobody else closes this client.
      client.on('error', () => undefined);
      client.disconnect();
      throw error;
    }
  }

  /**
   * Adopts a client, or takes an open connection.
   *
   * @throws {ConfigurationError} like `open`.
   */
  static of(redis: RedisClient | OpenConnection, settings: RedisConnectionSettings): RedisConnection {
    return redis instanceof RedisConnection ? redis : new RedisConnection(redis as Redis | Cluster, settings);
  }

  /**
   * Resolves once the client can take commands and the servers' time is known.
   *
   * @throws {StoreUnavailableError} when that takes longer than the settings allow.
   */
  async ready(): Promise<void> {
    if (this.client.status === 'wait') this.client.connect().catch(() => undefined);
    const giveUpAt = performance.now() + (this.settings.readyTimeout ?? READY_TIMEOUT);
    await this.untilReady();
    if (!this.owned) this.warnOfSettings();
    for (;;) {
      try {
        return await this.clocks.sample();
      } catch (error) {
        // A machine that is busy booting may miss one command timeout; that is no failure yet.
        const obstacle = bootObstacle(error instanceof StoreUnavailableError ? (error.cause ?? null) : error);
        if (obstacle !== null) throw new StoreUnavailableError(obstacle, { cause: error });
        if (this.closed || performance.now() >= giveUpAt) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** The clock of the server that holds the slot; known after the first command at the latest. */
  async clockFor(slot: number, wait?: StoreWait): Promise<RedisClock> {
    return this.clocks.known(slot) ?? this.inTime(() => this.clocks.of(slot), wait);
  }

  /** Like `clockFor`, without waiting; null if it is not known yet. */
  knownClock(slot: number): RedisClock | null {
    return this.clocks.known(slot) ?? null;
  }

  /**
   * The latest of the servers' times, epoch ms. Runs backwards only if their clocks are set back by more than a second.
   */
  now(): number {
    return this.clocks.now();
  }

  /**
   * An instant that no server has passed yet.
   *
   * @throws {StoreUnavailableError} if no server's time is known.
   */
  async upperBound(): Promise<number> {
    return this.clocks.upperBound();
  }

  /** Asks the server that holds the slot for its time, along with other commands. Does not wait. */
  readClock(slot: number): void {
    this.clocks.refresh(slot);
  }

  /**
   * Asks every server for its time.
   *
   * @throws {StoreUnavailableError} if none answers.
   */
  async sampleClocks(wait?: StoreWait): Promise<void> {
    return this.inTime(() => this.clocks.sample(), wait);
  }

  /**
   * How long a call may still wait, ms.
   *
   * @param wait what its caller has waited so far.
   * @throws {StoreUnavailableError} if nothing is left.
   */
  timeLeft(wait: StoreWait | undefined): number {
    const left = this.settings.commandTimeout - (wait?.elapsed ?? 0);
    if (left < 1) throw new StoreUnavailableError();
    return left;
  }

  /**
   * The answer to the command, within the command timeout and from a primary. While the connection is closed, the
   * command waits for the next one; if it may have run without an answer, it is sent again, so it must be safe to
   * repeat.
   *
   * @param pass which Redis errors the caller handles itself.
   * @param slot the slot of its keys, so that on a Cluster a server that hangs affects only its own slots.
   * @param wait what the caller has waited so far, which shortens the timeout.
   * @throws {StoreUnavailableError}
   */
  async ask<T>(
    command: () => Promise<T>,
    pass?: (error: unknown) => boolean,
    slot?: number,
    wait?: StoreWait,
  ): Promise<T> {
    const circuit = this.circuitOf(slot);
    if (circuit?.admits() === false) throw new StoreUnavailableError();
    return this.askAdmitted(command, pass, circuit, this.timeLeft(wait));
  }

  /**
   * `ask` for an operation of many commands: while a server that did not answer is being checked by one request at a
   * time, the command waits for the result, up to the command timeout, instead of being refused.
   *
   * @throws {StoreUnavailableError}
   */
  async askPatiently<T>(command: () => Promise<T>, pass?: (error: unknown) => boolean, slot?: number): Promise<T> {
    const circuit = this.circuitOf(slot);
    const giveUpAt = performance.now() + this.settings.commandTimeout;
    while (circuit?.admits() === false) {
      if (this.closed || performance.now() >= giveUpAt) throw new StoreUnavailableError();
      await pause(RETRY);
    }
    return this.askAdmitted(command, pass, circuit, this.settings.commandTimeout);
  }

  private async askAdmitted<T>(
    command: () => Promise<T>,
    pass: ((error: unknown) => boolean) | undefined,
    circuit: NodeCircuit | null,
    timeout: number,
  ): Promise<T> {
    const since = performance.now();
    try {
      const value = await this.bounded(command, true, timeout);
      circuit?.answered();
      return value;
    } catch (error) {
      const silent = error instanceof StoreUnavailableError || isConnectionError(error) || isReadOnly(error);
      if (!silent) circuit?.answered();
      else if (!this.closed && performance.now() - since > this.settings.commandTimeout - 2 * RETRY)
        circuit?.gaveUp(since);
      throw this.refusal(error, pass);
    }
  }

  /**
   * Listens on a channel until the connection is closed, and resubscribes after a break.
   *
   * @param onGap Called after each resubscription. Returns how to stop.
   */
  hear(channel: string, onMessage: (message: string) => void, onGap?: () => void): () => void {
    return this.subscriptionTo(channel)?.add(onMessage, onGap) ?? (() => undefined);
  }

  /**
   * The fields of a hash, as `ask` would answer. On one server, the reads of one turn of the event loop share everything but
   * their commands: one wait, one timer, one proof.
   *
   * @throws {StoreUnavailableError}
   */
  readHash(
    key: string,
    fields: readonly string[],
    pass: (error: unknown) => boolean,
    slot: number,
    wait?: StoreWait,
  ): Promise<HashValues> {
    const { client } = this;
    // A wait that has hardly begun may share the timeout of the others.
    const isShort = wait !== undefined && wait.elapsed > RETRY;
    if (client.isCluster || client.status !== 'ready' || isShort)
      return this.ask(async () => readHashOf(client, key, fields), pass, slot, wait);
    if (this.batch) return this.batch.add(key, fields);
    const batch = new ReadBatch(client as Redis);
    this.batch = batch;
    const first = batch.add(key, fields);
    this.ask(() => batch.run()).then(
      (answers) => batch.settle(answers, (error) => this.refusal(error, pass)),
      (error: unknown) => {
        if (this.batch === batch) this.batch = null;
        batch.fail(error);
      },
    );
    return first;
  }

  /** Resolves once the channel is subscribed to. */
  async listening(channel: string): Promise<void> {
    await this.subscriptionTo(channel)?.established;
  }

  /** Reports whether messages published on the channel arrive. Returns how to stop. */
  watchHearing(channel: string, watch: HearingWatch): () => void {
    return this.subscriptionTo(channel)?.watch(watch) ?? (() => undefined);
  }

  /**
   * Waits up to `readyTimeout`.
   *
   * @throws {StoreUnavailableError}
   */
  async untilDone(work: Promise<void>): Promise<void> {
    await within(work, this.settings.readyTimeout ?? READY_TIMEOUT);
  }

  /**
   * Pub/sub ignores databases and a client's `keyPrefix`; applications with separate keys must also have separate
   * channels.
   */
  channelOf(name: string): string {
    const { keyPrefix = '', db = 0 } = this.client.options as { keyPrefix?: string; db?: number };
    return `${keyPrefix}${name}${db === 0 ? '' : `@${db}`}`;
  }

  /** Calls the listener after each reconnect, and when a server answers again. Returns how to stop. */
  onRenewed(listener: () => void): () => void {
    this.renewals.add(listener);
    return () => this.renewals.delete(listener);
  }

  /**
   * The run id of each primary that answers, by its name; it changes with each start. Null where the server does not
   * reveal it.
   */
  async runIds(): Promise<Map<string, string | null>> {
    const ids = this.servers().map(async (server): Promise<[string, string | null]> => {
      const { host, port } = server.options;
      const info = await this.askServer(async () =>
        server.info('server').catch((error: unknown) => {
          if (messageOf(error).startsWith('NOPERM')) return '';
          throw error;
        }),
      );
      return [this.client.isCluster ? `${host}:${port}` : '', /^run_id:(\w+)/m.exec(info)?.[1] ?? null];
    });
    const answers = await Promise.allSettled(ids);
    return new Map(answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : [])));
  }

  /** The name of the server that holds the slot; undefined if a Cluster does not know it. Without a Cluster: ''. */
  serverOf(slot: number): string | undefined {
    return this.client.isCluster ? (this.client as Cluster).slots[slot]?.[0] : '';
  }

  /** A second connection to the same servers, for commands that would delay others. The caller closes it. */
  beside(): RedisConnection {
    const own = { enableAutoPipelining: false, lazyConnect: true };
    const client = this.client.isCluster
      ? (this.client as Cluster).duplicate([], own)
      : (this.client as Redis).duplicate(own);
    return new RedisConnection(client, this.settings, true);
  }

  /**
   * Checks every server for settings that put sessions at risk, and logs each finding with its fix.
   *
   * @param key a key that does not exist, used to test permissions.
   * @throws {ConfigurationError} under `strict`, if a server can forget a revocation.
   */
  async checkServers(key: string, channel: string, strict: boolean): Promise<readonly ServerFinding[]> {
    const asked = await this.askEach();
    // What may not be asked is no problem of the server, and one that is down is reported by what fails.
    const answered = asked.filter(({ server }) => server.report !== null);
    const findings = [...answered.flatMap((each) => each.findings), ...(await this.missingRights(key, channel))];
    for (const { level, text } of findings) this.trouble[level === 'error' ? 'report' : 'warn'](text);
    const forgetting = findings.find(({ forgets }) => forgets);
    if (strict && forgetting) throw new ConfigurationError(`strictRedis: ${forgetting.text}`);
    return findings;
  }

  /** Asks every server what an operator should know. Logs nothing, and reports a server that does not answer. */
  async diagnose(key: string, channel: string): Promise<ServersDiagnosis> {
    const asked = await this.askEach();
    const findings = [...asked.flatMap((each) => each.findings), ...(await this.missingRights(key, channel))];
    return { servers: asked.map(({ server }) => server), findings };
  }

  private askEach(): Promise<{ server: ServerDiagnosis; findings: readonly ServerFinding[] }[]> {
    return Promise.all(this.servers().map((server) => diagnose(server, (command) => this.askServer(command))));
  }

  /** The commands that scripts may not run. None where scripts cannot be run at all: every other command reports that. */
  private async missingRights(key: string, channel: string): Promise<readonly ServerFinding[]> {
    const missing = await this.askServer(
      () => this.client.eval(RIGHTS_PROBE, 1, key, channel) as Promise<string[]>,
    ).catch(() => []);
    if (missing.length === 0) return [];
    const rights = missing.map((name) => `+${name}`).join(' ');
    const text = `The Redis user may not run ${missing.join(', ')} (on the keys or the channel of the option "keyPrefix"). ACL SETUSER … ${rights} &${channel}.`;
    return [{ level: 'error', forgets: false, text }];
  }

  private subscriptionTo(channel: string): RedisSubscription | undefined {
    let subscription = this.subscriptions.get(channel);
    if (!subscription && !this.closed) {
      subscription = new RedisSubscription(this.client, channel, this.onError);
      this.subscriptions.set(channel, subscription);
    }
    return subscription;
  }

  private servers(): Redis[] {
    return this.client.isCluster ? (this.client as Cluster).nodes('master') : [this.client as Redis];
  }

  /** Closes what the library opened, in bounded time even if Redis does not answer. An adopted client stays open. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.clocks.stop();
    for (const subscription of this.subscriptions.values()) subscription.close();
    this.client.off('ready', this.onReady);
    this.client.off('end', this.onEnd);
    this.wakeAll();
    if (this.owned) {
      await within(this.client.quit(), this.settings.commandTimeout).catch(() => undefined);
      this.client.disconnect();
    } else {
      this.client.off('error', this.onError);
    }
  }

  /**
   * A command about the server and no session: it bypasses the circuit breaker and needs no proof of a primary.
   *
   * @throws {StoreUnavailableError}
   */
  async askServer<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await this.bounded(command, false, this.settings.commandTimeout);
    } catch (error) {
      throw this.refusal(error);
    }
  }

  private refusal(error: unknown, pass?: (error: unknown) => boolean): unknown {
    if (pass?.(error)) return error;
    // Errors caused by our own close are not reported.
    return this.closed ? new StoreUnavailableError() : this.trouble.unavailable(error);
  }

  private async inTime<T>(work: () => Promise<T>, wait: StoreWait | undefined): Promise<T> {
    return wait ? within(work(), this.timeLeft(wait)) : work();
  }

  private async bounded<T>(command: () => Promise<T>, proves: boolean, timeout: number): Promise<T> {
    const wait = { until: performance.now() + timeout, wake: (): void => undefined };
    try {
      return await within(this.attempts(command, proves, wait), timeout);
    } finally {
      this.waiting.delete(wait.wake);
    }
  }

  private async attempts<T>(
    command: () => Promise<T>,
    proves: boolean,
    wait: { readonly until: number; wake: () => void },
  ): Promise<T> {
    for (;;) {
      if (this.client.status !== 'ready') await this.untilConnected(wait);
      try {
        return proves ? await this.proven(command) : await command();
      } catch (error) {
        const again = isConnectionError(error) || (this.owned && isReadOnly(error));
        if (this.closed || !again || performance.now() + RETRY >= wait.until) throw error;
        await pause(RETRY);
      }
    }
  }

  /** The answer, once it is known to come from a primary. An error reply must be proven as well. */
  private async proven<T>(command: () => Promise<T>): Promise<T> {
    const turn = this.currentTurn();
    try {
      const value = await command();
      await turn?.proven();
      return value;
    } catch (error) {
      if (!isConnectionError(error) && !(error instanceof DemotedError)) await turn?.proven();
      throw error;
    }
  }

  private currentTurn(): CommandTurn | null {
    if (this.client.isCluster || this.client.status !== 'ready') return null;
    this.turn ??= new CommandTurn(this.client as Redis, {
      asksRole: this.asksRole,
      onOver: () => {
        this.turn = null;
        this.batch?.close();
        this.batch = null;
      },
      onDemoted: this.onDemoted,
      onRoleRefused: this.onRoleRefused,
    });
    return this.turn;
  }

  private async untilConnected(wait: { wake: () => void }): Promise<void> {
    const { client } = this;
    if (client.status === 'end') throw new StoreUnavailableError('the Redis client is closed. Pass an open client.');
    if (client.status === 'wait') client.connect().catch(() => undefined);
    await new Promise<void>((resolve) => {
      wait.wake = resolve;
      this.waiting.add(resolve);
    });
  }

  private tellRenewed(): void {
    for (const listener of this.renewals) listener();
  }

  private wakeAll(): void {
    for (const wake of this.waiting) wake();
    this.waiting.clear();
  }

  /** The circuit of a server. On a Cluster it is known only for a known slot. */
  private circuitOf(slot: number | undefined): NodeCircuit | null {
    const name = slot === undefined && this.client.isCluster ? undefined : this.serverOf(slot ?? 0);
    if (name === undefined) return null;
    let circuit = this.circuits.get(name);
    if (!circuit) {
      circuit = new NodeCircuit(
        () => this.trouble.silent(name),
        (outage) => {
          this.trouble.over(name, outage);
          this.tellRenewed();
        },
      );
      this.circuits.set(name, circuit);
    }
    return circuit;
  }

  private readonly onRoleRefused = (error: Error): void => {
    this.asksRole = false;
    this.trouble.say(
      'role',
      `ROLE is refused (${error.message}): a demoted primary cannot be recognised. Allow the command: ACL SETUSER … +role.`,
    );
  };

  /** Lets the client find the new primary, if it can. */
  private readonly onDemoted = (): void => {
    const stream = (this.client as Redis).stream as unknown;
    if (!this.owned || this.closed || this.demoted === stream) return;
    this.demoted = stream;
    this.client.disconnect(true);
  };

  private readonly onError = (error: unknown): void => {
    this.lastError = error;
    const message = messageOf(error);
    this.trouble.say('connection', `Error on the Redis connection: ${message}`);
  };

  private readonly onReady = (): void => {
    for (const circuit of this.circuits.values()) circuit.renewed();
    this.wakeAll();
    void this.sampleClocks().catch(() => undefined);
    this.tellRenewed();
  };

  private readonly onEnd = (): void => {
    this.wakeAll();
  };

  private warnOfSettings(): void {
    for (const setting of missingSettings(this.client)) {
      this.trouble.warn(`Create the Redis client that you pass in with ${setting}.`);
    }
  }

  private async untilReady(): Promise<void> {
    const { client } = this;
    const { readyTimeout = READY_TIMEOUT } = this.settings;
    if (client.status === 'ready') return;
    if (client.status === 'end') throw new StoreUnavailableError('the Redis client is closed. Pass an open client.');
    let onReady = (): void => undefined;
    let onClose = (): void => undefined;
    const since = performance.now();
    let closed = 0;
    let obstacle: string | null = null;
    const waiting = new Promise<void>((resolve, reject) => {
      onReady = resolve;
      onClose = () => {
        closed += 1;
        obstacle = bootObstacle(this.lastError, closed);
        if (obstacle !== null && performance.now() - since >= BOOT_PATIENCE) reject(new StoreUnavailableError());
      };
    });
    client.on('ready', onReady);
    client.on('close', onClose);
    try {
      await within(waiting, readyTimeout);
    } catch {
      if (obstacle !== null) throw new StoreUnavailableError(obstacle, { cause: this.lastError });
      throw new StoreUnavailableError(
        `Redis is not reachable after ${readyTimeout / 1000} seconds${this.lastError === null ? '' : ` (${causeOf(this.lastError)})`}. Check the option "redis" and that the server runs.`,
        { cause: this.lastError },
      );
    } finally {
      client.off('ready', onReady);
      client.off('close', onClose);
    }
  }
}

/** What the network or Redis says, without the host and port: the message may reach clients. */
function causeOf(error: unknown): string {
  const message = messageOf(error);
  return /\bE[A-Z]{4,}\b/.exec(message)?.[0] ?? message;
}
