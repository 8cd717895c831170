/** Injects the `SessionCore` of the module. */
export const SESSION_CORE = Symbol('SESSION_CORE');
