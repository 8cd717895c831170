import { z } from 'zod';
import { body } from '../http/body.js';

export const switchBody = body({
  id: z.string({ error: 'must be text' }).regex(/^[\w-]{32}$/, { error: 'must be the id of a session' }),
}).meta({ example: { id: 'q0Zc1lqJ0cVYw9dBnq3LZ4mJ2pXt8R5v' } });
export type SwitchBody = z.output<typeof switchBody>;
