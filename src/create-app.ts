import type { Server } from 'node:http';
import type { INestApplication, LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule, type AdjustOptions } from './app.module.js';
import { appLogger } from './config/app-logger.js';
import { readEnvironment } from './config/environment.js';
import { securityHeaders } from './http/security-headers.js';
import { DocsController } from './openapi/docs.controller.js';

export interface AppOverrides {
  options?: AdjustOptions;
  logger?: LoggerService;
}

/** Maximum size of a request body, bytes. */
const BODY_LIMIT = 100 * 1024;
/** Maximum length of a path parameter. Only Fastify has a limit, and its default is too short for a device id. */
const PARAMETER_LIMIT = 4_096;

/**
 * Creates the application for the given variables, not yet listening. No proxy is trusted, because a client could write
 * any address into a header. Bodies must be JSON: another site can make a browser send anything that a form can send.
 *
 * @throws {EnvironmentError} that names each missing or wrong variable.
 */
export async function createApp(
  variables: Readonly<Record<string, string | undefined>>,
  overrides: AppOverrides = {},
): Promise<INestApplication> {
  const environment = readEnvironment(variables);
  const module = AppModule.for(environment, overrides.options);
  const settings = { logger: overrides.logger ?? appLogger(environment), abortOnError: false, bodyParser: false };
  // Only the platform in use is loaded.
  if (environment.adapter === 'fastify') {
    const { FastifyAdapter } = await import('@nestjs/platform-fastify');
    const adapter = new FastifyAdapter({ bodyLimit: BODY_LIMIT, routerOptions: { maxParamLength: PARAMETER_LIMIT } });
    const app = await NestFactory.create<NestFastifyApplication>(module, adapter, settings);
    app.use(securityHeaders(environment));
    const parse = adapter.getInstance().getDefaultJsonParser('error', 'error');
    // As on Express, an empty body announced as JSON counts as none.
    app.useBodyParser<Server>('application/json', { bodyLimit: BODY_LIMIT }, (request, body, done) =>
      body.length === 0 ? done(null, undefined) : parse(request, body.toString(), done),
    );
    return ready(app);
  }
  const { ExpressAdapter } = await import('@nestjs/platform-express');
  const app = await NestFactory.create<NestExpressApplication>(module, new ExpressAdapter(), settings);
  app.use(securityHeaders(environment));
  app.useBodyParser('json', { limit: BODY_LIMIT });
  return ready(app);
}

function ready(app: INestApplication): INestApplication {
  app.get(DocsController, { strict: false }).describe(app);
  return app.enableShutdownHooks();
}
