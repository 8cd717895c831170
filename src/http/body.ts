import { z } from 'zod';

/** A body with exactly these fields. A missing body counts as an empty one, so that each missing field is named. */
export function body<T extends z.ZodRawShape>(shape: T) {
  return z.preprocess((value) => value ?? {}, z.strictObject(shape));
}

/** Text without control characters, because stored text appears in lists and logs. */
export function line(longest: number) {
  return z
    .string({ error: 'must be text' })
    .min(1, { error: 'must not be empty' })
    .max(longest, { error: `must have at most ${longest} characters` })
    .regex(/^\P{Cc}*$/u, { error: 'must be one line, without control characters' });
}
