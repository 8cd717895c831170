const MARK = 'nestjs-sessions:session-guard';

/** Marks a guard and its subclasses as requiring a session: on a method it cancels the class's `@Public()`. */
export function MarksSessionGuard(): ClassDecorator {
  return (guard) => Reflect.defineMetadata(MARK, true, guard);
}

/** Whether `@UseGuards()` on this class or method names one of the library's guards, or a subclass. */
export function hasSessionGuard(target: object): boolean {
  const guards = (Reflect.getOwnMetadata('__guards__', target) ?? []) as unknown[];
  return guards.some(isSessionGuard);
}

/** Whether it is one of the library's guards or a subclass: the class, or an instance. */
export function isSessionGuard(guard: unknown): boolean {
  const type: unknown = typeof guard === 'function' ? guard : guard?.constructor;
  return typeof type === 'function' && Reflect.getMetadata(MARK, type) === true;
}
