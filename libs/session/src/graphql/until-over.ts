/**
 * The same values until `watch` calls back. The iterator then completes, even while a caller waits for its next value, and stops
 * the source.
 */
export function untilOver<T>(
  source: AsyncIterable<T>,
  watch: (onOver: () => void) => () => void,
): AsyncIterableIterator<T> {
  const iterator = source[Symbol.asyncIterator]();
  const done = { value: undefined, done: true } as const;
  let isOver = false;
  let end: () => void = () => undefined;
  const over = new Promise<typeof done>((resolve) => {
    end = () => resolve(done);
  });
  /** The source hears of it once. */
  const finish = async (): Promise<void> => {
    if (isOver) return;
    isOver = true;
    end();
    await iterator.return?.();
  };
  // Nobody waits for a source that does not stop.
  const stop = watch(() => void finish().catch(() => undefined));
  return {
    async next() {
      if (isOver) return done;
      const result = await Promise.race([iterator.next(), over]);
      if (result.done === true) stop();
      return result;
    },
    async return() {
      stop();
      await finish();
      return done;
    },
    async throw(error: unknown) {
      stop();
      await finish();
      throw error;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
