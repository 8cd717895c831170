/** A value that a request carries with it. */
export interface RequestSlot<T> {
  find(request: object): T | undefined;
  /** Replaces an earlier value. */
  put(request: object, value: T): void;
}

/**
 * A place for one value on each request, which nothing else sees: neither what prints or copies a request, nor what lists its
 * properties. It is a private field of the request's own list of raw headers. On Express, a field of the request itself would cost some
 * microseconds, because each request has its own hidden class. A WeakMap would keep requests alive until the next full garbage
 * collection if the value refers back to its request. docs/performance.md has the figures.
 */
export function requestSlot<T>(): RequestSlot<T> {
  // A class that adds its fields to the object which its base constructor returns.
  class Field extends Given {
    #kept: Kept<T>;

    constructor(list: object, kept: Kept<T>) {
      super(list);
      this.#kept = kept;
    }

    /** Only for the request that put it there: another one may have been made with the same list. */
    static find(list: object, request: object): T | undefined {
      return #kept in list && list.#kept.request === request ? list.#kept.value : undefined;
    }

    /** False where the list belongs to another request. */
    static put(list: object, request: object, value: T): boolean {
      if (!(#kept in list)) new Field(list, new Kept(request, value));
      else if (list.#kept.request === request) list.#kept.value = value;
      else return false;
      return true;
    }
  }

  /** For what has no list of its own, such as a message on a socket. */
  let others: WeakMap<object, T> | undefined;
  return {
    find: (request) => {
      const list = listOf(request);
      return (list && Field.find(list, request)) ?? others?.get(request);
    },
    put: (request, value) => {
      const list = listOf(request);
      if (!list || !Field.put(list, request, value)) (others ??= new WeakMap()).set(request, value);
    },
  };
}

/**
 * A class, and no object literal: if many objects of one literal outlive a scavenge, V8 makes all later ones in old space. What
 * they refer to, the whole request here, then stays until the next full garbage collection.
 */
class Kept<T> {
  constructor(
    readonly request: object,
    public value: T,
  ) {}
}

class Given {
  constructor(target: object) {
    return target;
  }
}

function listOf(request: { readonly rawHeaders?: unknown }): object | null {
  const list = request.rawHeaders;
  return Array.isArray(list) && Object.isExtensible(list) ? list : null;
}
