import { z } from 'zod';
import { body } from '../http/body.js';

export const THEMES = ['light', 'dark', 'system'] as const;

export const preferencesBody = body({
  theme: z.enum(THEMES, { error: `must be one of ${THEMES.join(', ')}` }).optional(),
  language: z
    .string({ error: 'must be text' })
    .regex(/^[a-z]{2,3}(-[A-Z]{2})?$/, { error: 'must be a language such as "de" or "de-AT"' })
    .optional(),
}).meta({ example: { theme: 'dark' } });

/** The application's data in a session, kept as long as the session lives. */
export interface Preferences {
  theme?: (typeof THEMES)[number] | undefined;
  language?: string | undefined;
}
