/** Injects the application's own client, or null on the embedded store. */
export const REDIS = Symbol('REDIS');

/** Longest wait for an answer of Redis, ms. */
export const COMMAND_TIMEOUT = 500;

/** The client's own timeout does not cover a transaction, so this bounds every wait. */
export async function withinTimeout<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${COMMAND_TIMEOUT} ms`)), COMMAND_TIMEOUT);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
