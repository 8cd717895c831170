/** Injects the options as the user passed them. */
export const RAW_SESSION_OPTIONS = Symbol('RAW_SESSION_OPTIONS');
