import { firstValueFrom, from, timeout } from 'rxjs';

/** Injects the application's own client, or null on the embedded store. */
export const REDIS = Symbol('REDIS');

/** The client's own timeout does not cover a transaction, so this limits every wait. */
export async function within<T>(ms: number, answer: Promise<T>): Promise<T> {
  return firstValueFrom(from(answer).pipe(timeout(ms)));
}
