/** While a server does not answer, one request per interval checks whether it does again, ms. */
const PROBE_EVERY = 250;

/**
 * Circuit breaker of one server. Opens once a request has waited for its full timeout and nothing arrived from the
 * server meanwhile; further requests are refused at once, except one at a time that checks whether the server answers
 * again.
 */
export class NodeCircuit {
  private openedAt: number | null = null;
  private answeredAt = -Infinity;
  private probedAt = -Infinity;

  constructor(
    private readonly onOpen: () => void,
    private readonly onClose: (outage: number) => void,
  ) {}

  get isOpen(): boolean {
    return this.openedAt !== null;
  }

  /** Whether a request may be sent now. */
  admits(now = performance.now()): boolean {
    if (this.openedAt === null) return true;
    if (now - this.probedAt < PROBE_EVERY) return false;
    this.probedAt = now;
    return true;
  }

  /** After a reconnect: the next request checks the server at once. */
  renewed(): void {
    this.probedAt = -Infinity;
  }

  /** Called for an answer that is known to come from a primary. */
  answered(now = performance.now()): void {
    this.answeredAt = now;
    if (this.openedAt === null) return;
    const outage = now - this.openedAt;
    this.openedAt = null;
    this.onClose(outage);
  }

  /** Called when a request that began at `since` timed out. */
  gaveUp(since: number): void {
    if (this.openedAt !== null || this.answeredAt >= since) return;
    this.openedAt = performance.now();
    this.probedAt = this.openedAt;
    this.onOpen();
  }
}
