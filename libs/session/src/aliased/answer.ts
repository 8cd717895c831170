/** A Node callback: what went wrong or null, and what came of it. */
export type Callback<T = void> = (error: unknown, value?: T) => void;

/**
 * Answers a caller in the form it asked for: by its callback where it gave one, else by the promise. A promise that
 * nobody looks at ends no process.
 */
export function answer<T>(work: Promise<T>, callback: Callback<T> | undefined): Promise<T> {
  if (typeof callback === 'function') {
    // In a turn of their own: what a callback throws is its own fault, and not ours to catch and call it again with.
    work.then(
      (value) => setImmediate(callback, null, value),
      (error: unknown) => setImmediate(callback, error),
    );
  }
  work.catch(() => undefined);
  return work;
}
