/** A Node callback: an error or null, and the result. */
export type Callback<T = void> = (error: unknown, value?: T) => void;

/**
 * Reports a result through the callback if there is one, and always through the promise. A rejection that nothing handles
 * does not end the process.
 */
export function callbackOrPromise<T>(work: Promise<T>, callback: Callback<T> | undefined): Promise<T> {
  if (typeof callback === 'function') {
    // Each in its own turn of the event loop: an error that the callback throws must not reach the other branch.
    work.then(
      (value) => setImmediate(callback, null, value),
      (error: unknown) => setImmediate(callback, error),
    );
  }
  work.catch(() => undefined);
  return work;
}
