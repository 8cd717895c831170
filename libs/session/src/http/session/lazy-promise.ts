/** A promise whose work starts each time it is awaited. If it is never awaited, it cannot reject unhandled. */
export class LazyPromise<T> implements Promise<T> {
  readonly [Symbol.toStringTag] = 'Promise';

  constructor(private readonly begin: () => Promise<T>) {}

  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.begin().then(onFulfilled, onRejected);
  }

  catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.begin().catch(onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<T> {
    return this.begin().finally(onFinally);
  }
}
