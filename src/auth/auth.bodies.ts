import { z } from 'zod';
import { body, line } from '../http/body.js';

/** Long enough for any passphrase, and short enough to hash at no extra cost. */
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
  /** Keeps the accounts that the browser is signed in to. */
  addAccount: z.boolean({ error: 'must be true or false' }).optional(),
  /** The session to end, chosen from those that a 409 listed. */
  replaces: z
    .string({ error: 'must be text' })
    .regex(/^[\w-]{32}$/, { error: 'must be the id of a session' })
    .optional(),
}).meta({
  example: { email: 'user@example.com', password: 'user-password-1', deviceId: 'laptop-1', deviceName: 'My laptop' },
});
export type LoginBody = z.output<typeof loginBody>;

export const stepUpBody = body({ password }).meta({ example: { password: 'user-password-1' } });
export type StepUpBody = z.output<typeof stepUpBody>;

export const codeBody = body({
  code: z.string({ error: 'must be text' }).regex(/^[0-9]{6}$/, { error: 'must be six digits' }),
}).meta({ example: { code: '123456' } });
export type CodeBody = z.output<typeof codeBody>;

export const refreshBody = body({
  refreshToken: z
    .string({ error: 'must be text' })
    .min(1, { error: 'must not be empty' })
    .max(4096, { error: 'must have at most 4096 characters' })
    // Browsers have it in a cookie, with the option `jwt.refreshCookie`.
    .optional(),
}).meta({ example: { refreshToken: 'q0Zc1lqJ0cVYw9dBnq3LZ4mJ2pXt8R5v.c2VjcmV0' } });
export type RefreshBody = z.output<typeof refreshBody>;
