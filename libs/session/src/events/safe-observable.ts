import {
  Observable,
  Subscriber,
  type Observer,
  type OperatorFunction,
  type Subscription,
  type TeardownLogic,
} from 'rxjs';

/**
 * An observable whose subscribers cannot disturb others. RxJS rethrows an error of a subscriber in a timer of its own, which
 * ends the process; here `onError` receives it, as it does an error without an error handler. What `pipe` returns is safe too.
 */
export class SafeObservable<T> extends Observable<T> {
  constructor(
    private readonly onError: (error: unknown) => void,
    subscribe?: (subscriber: Subscriber<T>) => TeardownLogic,
  ) {
    super(subscribe);
  }

  // Only `any` satisfies every overload of RxJS. Callers keep those overloads: they see an `Observable`.
  /* eslint-disable @typescript-eslint/no-explicit-any */
  override pipe(...operators: OperatorFunction<any, any>[]): Observable<any> {
    const piped = operators.reduce<Observable<any>>((source, operator) => operator(source), this);
    return new SafeObservable<any>(this.onError, (subscriber) => piped.subscribe(subscriber));
  }
  /* eslint-enable @typescript-eslint/no-explicit-any */

  override subscribe(observer?: Partial<Observer<T>> | ((value: T) => void)): Subscription;
  override subscribe(
    next?: ((value: T) => void) | null,
    error?: ((error: unknown) => void) | null,
    complete?: (() => void) | null,
  ): Subscription;
  override subscribe(
    observer?: Partial<Observer<T>> | ((value: T) => void) | null,
    error?: ((error: unknown) => void) | null,
    complete?: (() => void) | null,
  ): Subscription {
    // RxJS's own, such as an operator: it passes errors on itself.
    if (observer instanceof Subscriber) return super.subscribe(observer);
    const given =
      typeof observer === 'object' && observer !== null
        ? observer
        : { next: observer ?? undefined, error: error ?? undefined, complete: complete ?? undefined };
    return super.subscribe({
      next: (value) => this.guarded(() => given.next?.(value)),
      error: (cause: unknown) => (given.error ? this.guarded(() => given.error?.(cause)) : this.onError(cause)),
      complete: () => this.guarded(() => given.complete?.()),
    });
  }

  private guarded(call: () => unknown): void {
    try {
      const result = call();
      // An async function as subscriber: RxJS ignores its promise.
      if (result instanceof Promise) result.catch(this.onError);
    } catch (error) {
      this.onError(error);
    }
  }
}
