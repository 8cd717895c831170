import { hash } from 'node:crypto';

/** A secret that is always the same for a name, and looks like a random one. */
export const secretOf = (name: string): string => hash('sha256', `a secret of these tests: ${name}`, 'base64url');
