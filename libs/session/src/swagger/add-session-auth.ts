import type { INestApplicationContext } from '@nestjs/common';
import type { DocumentBuilder, OpenAPIObject } from '@nestjs/swagger';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { fitted } from './fitted-document.js';
import { schemesOf } from './schemes.js';

/**
 * Adds to a document what `@ApiSession()` refers to: the session cookie under its name in this application, bearer tokens where the
 * option `jwt` is set, and tokens that are bound to a key where `jwt.dpop` is. A document, in place of its builder, also has each
 * route of `@ApiSession()` name what these options accept, with the errors that they bring.
 *
 * ```ts
 * const document = addSessionAuth(SwaggerModule.createDocument(app, new DocumentBuilder().setTitle('API').build()), app);
 * ```
 *
 * @returns the builder, or a new document.
 */
export function addSessionAuth(builder: DocumentBuilder, app: INestApplicationContext): DocumentBuilder;
export function addSessionAuth(document: OpenAPIObject, app: INestApplicationContext): OpenAPIObject;
export function addSessionAuth(
  target: DocumentBuilder | OpenAPIObject,
  app: INestApplicationContext,
): DocumentBuilder | OpenAPIObject {
  const options = app.get<ResolvedSessionOptions>(SESSION_OPTIONS, { strict: false });
  if ('paths' in target) return fitted(target, options);
  for (const [name, scheme] of Object.entries(schemesOf(options))) target.addSecurity(name, scheme as never);
  return target;
}
