import { Observable, Subscriber, type Observer, type Operator, type Subscription, type TeardownLogic } from 'rxjs';

/**
 * An observable whose subscribers disturb nobody. RxJS throws what a subscriber throws into the void, which ends the process;
 * here it is handed over, as is an error that nobody takes. Holds for what `pipe` makes of it as well.
 */
export class SafeObservable<T> extends Observable<T> {
  constructor(
    private readonly onError: (error: unknown) => void,
    subscribe?: (subscriber: Subscriber<T>) => TeardownLogic,
  ) {
    super(subscribe);
  }

  override lift<R>(operator?: Operator<T, R>): Observable<R> {
    const lifted = new SafeObservable<R>(this.onError);
    lifted.source = this;
    lifted.operator = operator;
    return lifted;
  }

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
    // One of RxJS itself: an operator, or what knows how to fail.
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
      // An async function as subscriber: nobody else would take its rejection.
      if (result instanceof Promise) result.catch(this.onError);
    } catch (error) {
      this.onError(error);
    }
  }
}
