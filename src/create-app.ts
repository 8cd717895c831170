import type { INestApplication, LoggerService } from '@nestjs/common';
import { type AbstractHttpAdapter, NestFactory } from '@nestjs/core';
import { AppModule, type AdjustOptions } from './app.module.js';
import { appLogger } from './config/app-logger.js';
import { type Environment, readEnvironment } from './config/environment.js';
import { securityHeaders } from './http/security-headers.js';

export interface AppOverrides {
  options?: AdjustOptions;
  logger?: LoggerService;
}

/**
 * The application as the variables say, not yet listening.
 *
 * @throws {EnvironmentError} naming each variable that is missing or wrong.
 */
export async function createApp(
  variables: Readonly<Record<string, string | undefined>>,
  overrides: AppOverrides = {},
): Promise<INestApplication> {
  const environment = readEnvironment(variables);
  const app = await NestFactory.create(AppModule.for(environment, overrides.options), await httpAdapter(environment), {
    logger: overrides.logger ?? appLogger(environment),
    abortOnError: false,
  });
  app.use(securityHeaders(environment));
  app.enableShutdownHooks();
  return app;
}

/** Loads only the platform that is used. No proxy is trusted: a client could write any address into a header. */
async function httpAdapter({ adapter }: Environment): Promise<AbstractHttpAdapter> {
  if (adapter === 'fastify') {
    const { FastifyAdapter } = await import('@nestjs/platform-fastify');
    return new FastifyAdapter();
  }
  const { ExpressAdapter } = await import('@nestjs/platform-express');
  return new ExpressAdapter();
}
