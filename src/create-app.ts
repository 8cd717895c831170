import type { Server } from 'node:http';
import type { INestApplication, LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule, type AdjustOptions } from './app.module.js';
import { appLogger } from './config/app-logger.js';
import { readEnvironment } from './config/environment.js';
import { securityHeaders } from './http/security-headers.js';

export interface AppOverrides {
  options?: AdjustOptions;
  logger?: LoggerService;
}

/** Longest body that is read, bytes. */
const BODY_LIMIT = 100 * 1024;
/** Longest part of a path; Fastify alone has a limit, too short for a device id. */
const PARAMETER_LIMIT = 4_096;

/**
 * The application as the variables say, not yet listening. No proxy is trusted: a client could write any address into
 * a header. Bodies are JSON alone: what a form can send, another site can have a browser send.
 *
 * @throws {EnvironmentError} naming each variable that is missing or wrong.
 */
export async function createApp(
  variables: Readonly<Record<string, string | undefined>>,
  overrides: AppOverrides = {},
): Promise<INestApplication> {
  const environment = readEnvironment(variables);
  const module = AppModule.for(environment, overrides.options);
  const settings = { logger: overrides.logger ?? appLogger(environment), abortOnError: false, bodyParser: false };
  // Only the platform that is used gets loaded.
  if (environment.adapter === 'fastify') {
    const { FastifyAdapter } = await import('@nestjs/platform-fastify');
    const adapter = new FastifyAdapter({ bodyLimit: BODY_LIMIT, routerOptions: { maxParamLength: PARAMETER_LIMIT } });
    const app = await NestFactory.create<NestFastifyApplication>(module, adapter, settings);
    app.use(securityHeaders(environment));
    const parse = adapter.getInstance().getDefaultJsonParser('error', 'error');
    // As on Express, a body that is announced as JSON and is empty counts as none.
    app.useBodyParser<Server>('application/json', { bodyLimit: BODY_LIMIT }, (request, body, done) =>
      body.length === 0 ? done(null, undefined) : parse(request, body.toString(), done),
    );
    return app.enableShutdownHooks();
  }
  const { ExpressAdapter } = await import('@nestjs/platform-express');
  const app = await NestFactory.create<NestExpressApplication>(module, new ExpressAdapter(), settings);
  app.use(securityHeaders(environment));
  app.useBodyParser('json', { limit: BODY_LIMIT });
  return app.enableShutdownHooks();
}
