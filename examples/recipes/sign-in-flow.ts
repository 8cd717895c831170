// What a browser must bring back to finish a sign-in that has several steps: state, nonce, PKCE verifier, challenge. Kept in the session of
// that browser, so that nobody can finish in one browser what was begun in another, or finish it twice.
import type { RequestSession, Session } from 'nestjs-sessions';

/** Longest time between the first step and the last. */
const FLOW_AGE = 10 * 60_000;

interface Kept<T> {
  readonly flow?: { readonly kind: string; readonly at: number; readonly values: T } | undefined;
}

/** Begins a flow in the session of the request; a visitor gets an anonymous one. The latest flow of a session counts. */
export async function beginFlow<T extends object>(session: RequestSession, kind: string, values: T): Promise<void> {
  await session.startAnonymous();
  await session.update<Kept<T>>({ data: { flow: { kind, at: Date.now(), values } } });
}

/** Takes the flow out of the session: a second request finds none. Null also for one of another kind, and an old one. */
export async function takeFlow<T extends object>(session: RequestSession, kind: string): Promise<T | null> {
  if (!(await session.current)) return null;
  let taken: Kept<T>['flow'];
  await session.update<Kept<T>>(({ data }: Session<Kept<T>>) => {
    taken = data.flow;
    return { data: { flow: undefined } };
  });
  return taken?.kind === kind && Date.now() - taken.at < FLOW_AGE ? taken.values : null;
}
