/** Waits until the work is done, and at most `ms`. Rejects if the work does. The work continues in either case. */
export async function settledWithin(work: Promise<unknown> | null, ms: number): Promise<void> {
  await raced(work, ms, (resolve) => resolve(undefined));
}

/**
 * The result of the work. The work continues if it is late.
 *
 * @throws {Error} after `ms`.
 */
export async function answerWithin<T>(work: Promise<T>, ms: number): Promise<T> {
  return raced(work, ms, (_, reject) => reject(new Error(`no answer within ${ms} ms`)));
}

async function raced<T, L>(
  work: T,
  ms: number,
  onTimeout: (resolve: (value: L) => void, reject: (error: Error) => void) => void,
): Promise<Awaited<T> | L> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<L>((resolve, reject) => {
    timer = setTimeout(() => onTimeout(resolve, reject), ms);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
