import { z } from 'zod';
import { body, line } from '../http/body.js';

/** Long enough for any passphrase, short enough that hashing it costs nothing to speak of. */
const password = z
  .string({ error: 'must be text' })
  .min(1, { error: 'must not be empty' })
  .max(1024, { error: 'must have at most 1024 characters' });

export const loginBody = body({
  email: z.email({ error: 'must be an e-mail address' }).max(254, { error: 'must have at most 254 characters' }),
  password,
  deviceId: line(128).optional(),
  deviceName: line(128).optional(),
  rememberMe: z.boolean({ error: 'must be true or false' }).optional(),
  /** The session to end, chosen from those that a 409 listed. */
  replaces: z
    .string({ error: 'must be text' })
    .regex(/^[\w-]{32}$/, { error: 'must be the id of a session' })
    .optional(),
});
export type LoginBody = z.output<typeof loginBody>;

export const stepUpBody = body({ password });
export type StepUpBody = z.output<typeof stepUpBody>;

export const refreshBody = body({
  refreshToken: z
    .string({ error: 'must be text' })
    .min(1, { error: 'must not be empty' })
    .max(4096, { error: 'must have at most 4096 characters' }),
});
export type RefreshBody = z.output<typeof refreshBody>;
