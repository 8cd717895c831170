// Not the global functions: commands must time out even while a test uses fake timers.
import { clearTimeout, setImmediate, setTimeout } from 'node:timers';
import { StoreUnavailableError } from '../../model/errors.js';

/**
 * The result of the work, unless it takes longer than `ms`. Never gives up early: Node counts a timer from the start of
 * the current turn of the event loop, and a command that timed out must have no effect from then on. An answer that has
 * arrived by then counts: after a busy or frozen phase it is waiting in the socket.
 *
 * @throws {StoreUnavailableError}
 */
export function within<T>(work: Promise<T>, ms: number): Promise<T> {
  const due = performance.now() + ms;
  return new Promise<T>((resolve, reject) => {
    let timer: NodeJS.Timeout;
    const check = (): void => {
      const left = due - performance.now();
      if (left > 0) timer = setTimeout(check, Math.ceil(left));
      else setImmediate(() => reject(new StoreUnavailableError()));
    };
    timer = setTimeout(check, Math.ceil(ms));
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- passes on the error of the work
        reject(error);
      },
    );
  });
}

/** Resolves after `ms` milliseconds. Does not keep the process alive. */
export async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms).unref());
}
