import type * as NestLogger from '@nestjs/common/services/logger.service.js';
import type * as Library from 'nestjs-sessions/admin';
import { createRequire } from 'node:module';

const load = createRequire(import.meta.url);

/**
 * The library, loaded when a command first needs it. As CommonJS and without the entry of Nest: that takes less than half of the
 * processor time of an import, most of what a short command costs.
 */
export function library(): typeof Library {
  const admin = load('nestjs-sessions/admin') as typeof Library;
  const { Logger } = load('@nestjs/common/services/logger.service.js') as typeof NestLogger;
  // The library's log would mix with the output; what matters arrives as an error.
  Logger.overrideLogger(false);
  return admin;
}
