import type { Type } from '@nestjs/common';

/** Where `@Inject()` and `@Optional()` of Nest write what a constructor wants. */
const INJECTED = 'self:paramtypes';
const OPTIONAL = 'optional:paramtypes';

/** Makes the classes that Nest would inject, each once, for applications that run without Nest. */
export class PlainContainer {
  private readonly made: Map<unknown, unknown>;

  constructor(given: Iterable<readonly [token: unknown, value: unknown]>) {
    this.made = new Map(given);
  }

  /** Has everybody who wants the token get the value; who was made before does without. */
  give(token: unknown, value: unknown): void {
    this.made.set(token, value);
  }

  get<T>(type: Type<T>): T {
    if (this.made.has(type)) return this.made.get(type) as T;
    const injected = (Reflect.getMetadata(INJECTED, type) ?? []) as { index: number; param: unknown }[];
    const optional = new Set((Reflect.getMetadata(OPTIONAL, type) ?? []) as number[]);
    const args: unknown[] = [];
    for (const { index, param } of injected) {
      args[index] = this.made.has(param) || !optional.has(index) ? this.resolve(param, type) : undefined;
    }
    const instance = new type(...args);
    this.made.set(type, instance);
    return instance;
  }

  private resolve(token: unknown, wanted: Type): unknown {
    if (this.made.has(token)) return this.made.get(token);
    if (typeof token !== 'function') throw new Error(`${wanted.name} wants ${String(token)}, which nobody gave`);
    return this.get(token as Type);
  }
}
