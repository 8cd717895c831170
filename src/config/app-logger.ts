import { ConsoleLogger, type LogLevel } from '@nestjs/common';
import { LOG_LEVELS, type Environment } from './environment.js';

/** Logs at the given level and above; as JSON lines in production. */
export function appLogger({ logLevel, production }: Environment): ConsoleLogger {
  const logLevels = LOG_LEVELS.slice(1, LOG_LEVELS.indexOf(logLevel) + 1) as LogLevel[];
  return new ConsoleLogger({ logLevels, json: production });
}
