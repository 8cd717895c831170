import type { ExecutionContext, Type } from '@nestjs/common';

/** An execution context where Nest makes none, with what guards and decorators read of one. */
export function madeContext(
  type: 'http' | 'ws',
  args: readonly unknown[],
  { of, handler }: { of: new (...args: never[]) => object; handler: (...args: never[]) => unknown },
): ExecutionContext {
  const context: Pick<ExecutionContext, 'getType' | 'getArgByIndex' | 'getClass' | 'getHandler'> = {
    getType: <T extends string>() => type as string as T,
    getArgByIndex: <T>(index: number) => args[index] as T,
    // The caller names the type, as with Nest's own contexts.
    getClass: <T>() => of as Type<T>,
    getHandler: () => handler,
  };
  return context as ExecutionContext;
}
