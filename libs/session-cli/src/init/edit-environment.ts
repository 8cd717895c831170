import { appended } from './text-edit.js';

/** Names and values of the variables that the module reads. */
export type Variables = Readonly<Record<'REDIS_URL' | 'SESSION_SECRET', string>>;

/** Adds the variables that an environment file does not have. */
export function withVariables(text: string | null, variables: Variables): string {
  const lines = Object.entries(variables)
    .filter(([name]) => !new RegExp(`^\\s*(export\\s+)?${name}\\s*=`, 'm').test(text ?? ''))
    .map(([name, value]) => `${name}=${value}`);
  return lines.length === 0 ? (text ?? '') : appended(text, lines);
}
