import type { ExecutionContext, Type } from '@nestjs/common';

type Class = new (...args: never[]) => object;
type Handler = (...args: never[]) => unknown;
type ContextPart = Pick<ExecutionContext, 'getType' | 'getArgByIndex' | 'getClass' | 'getHandler'>;

/** An execution context where Nest makes none, with what guards and decorators read of one. */
export function madeContext(
  type: 'http' | 'ws',
  args: readonly unknown[],
  { of, handler }: { of: Class; handler: Handler },
): ExecutionContext {
  const context: ContextPart = new MadeContext(type, args, of, handler);
  return context as ExecutionContext;
}

/** A class, because it leads to the request: see `Kept` in request-slot.ts. */
class MadeContext implements ContextPart {
  constructor(
    private readonly type: string,
    private readonly args: readonly unknown[],
    private readonly of: Class,
    private readonly handler: Handler,
  ) {}

  getType<T extends string>(): T {
    return this.type as T;
  }

  getArgByIndex<T>(index: number): T {
    return this.args[index] as T;
  }

  // The caller names the type, as with Nest's own contexts.
  getClass<T>(): Type<T> {
    return this.of as Type<T>;
  }

  getHandler(): Handler {
    return this.handler;
  }
}
