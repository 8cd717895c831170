/** Receives what a listener threw or rejected with. */
export type ListenerErrorHandler = (error: unknown) => void;

/**
 * Listeners that cannot disturb each other or the caller of `emit`: an error goes to `onError`, and the next listener is called.
 */
export class Listeners<E> {
  private readonly listeners = new Set<(event: E) => unknown>();

  constructor(private readonly onError: ListenerErrorHandler = () => undefined) {}

  get size(): number {
    return this.listeners.size;
  }

  /** Adds a listener; the returned function removes it. */
  add(listener: (event: E) => unknown): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }

  emit(event: E): void {
    for (const listener of [...this.listeners]) {
      try {
        const result = listener(event);
        if (isThenable(result)) result.then(undefined, this.onError);
      } catch (error) {
        this.onError(error);
      }
    }
  }

  clear(): void {
    this.listeners.clear();
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
