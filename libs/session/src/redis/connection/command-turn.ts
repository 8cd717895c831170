// Not the global function: commands must be sent even while a test uses fake timers.
import { setImmediate } from 'node:timers';
import type { Redis } from 'ioredis';

/** The server that answered is now a replica: the answer may be out of date, and a write may be lost. */
export class DemotedError extends Error {
  constructor() {
    super('READONLY The server that answered is a replica now');
  }
}

/** The connection broke after the answer and before it was proven to come from a primary. */
export class UnprovenError extends Error {
  constructor() {
    super('Connection is closed.');
  }
}

export interface CommandTurnSettings {
  /** Whether the server reports its role. */
  readonly asksRole: boolean;
  /** Called when this turn accepts no more commands. */
  readonly onOver: () => void;
  readonly onDemoted: () => void;
  /** Called when the server refuses to report its role. */
  readonly onRoleRefused: (error: Error) => void;
}

/**
 * The commands of one turn of the event loop on one connection. They are sent together when the turn is over, in one
 * system call, followed by one `ROLE`: their answers count once it confirms that a primary gave them. A primary that
 * was demoted meanwhile may have answered before or after; the two cannot be told apart, so none of its answers count.
 */
export class CommandTurn {
  private readonly verdict: Promise<unknown>;
  private settle: (stream: unknown) => void = () => undefined;
  private refuse: (error: Error) => void = () => undefined;

  constructor(
    private readonly client: Redis,
    private readonly settings: CommandTurnSettings,
  ) {
    const stream = client.stream as Partial<typeof client.stream> | undefined;
    this.verdict = new Promise((resolve, reject) => {
      this.settle = resolve;
      this.refuse = reject;
    });
    this.verdict.catch(() => undefined);
    stream?.cork?.();
    setImmediate(() => {
      settings.onOver();
      this.prove();
      stream?.uncork?.();
    });
  }

  /**
   * Resolves when an answer that has just arrived is proven to come from a primary.
   *
   * @throws {DemotedError} when it came from a replica.
   * @throws {UnprovenError} when it came over a connection that broke before it was proven.
   */
  async proven(): Promise<void> {
    const answeredBy = this.client.stream as unknown;
    const provenBy = await this.verdict;
    // Null if the server does not report its role; the connection has already logged that.
    if (provenBy !== null && provenBy !== answeredBy) throw new UnprovenError();
  }

  private prove(): void {
    if (!this.settings.asksRole) {
      this.settle(null);
      return;
    }
    if (this.client.status !== 'ready') {
      this.refuse(new UnprovenError());
      return;
    }
    this.client.role().then(
      (answer) => {
        const stream = this.client.stream as unknown;
        if (String((answer as readonly unknown[])[0]) === 'master') this.settle(stream);
        else {
          this.settings.onDemoted();
          this.refuse(new DemotedError());
        }
      },
      (error: unknown) => {
        const failure = error instanceof Error ? error : new Error(String(error));
        if (/^(NOPERM|ERR unknown command)/.test(failure.message)) {
          this.settings.onRoleRefused(failure);
          this.settle(null);
        } else {
          this.refuse(failure);
        }
      },
    );
  }
}
