/** Injects the application's own client, or null on the embedded store. */
export const REDIS = Symbol('REDIS');

/** The client's own timeout does not cover a transaction, so this bounds every wait. */
export async function within<T>(timeout: number, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeout} ms`)), timeout);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
