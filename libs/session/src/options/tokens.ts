/** Injects the `ResolvedSessionOptions` of the module. */
export const SESSION_OPTIONS = Symbol('SESSION_OPTIONS');
