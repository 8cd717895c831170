import type { INestApplicationContext } from '@nestjs/common';
import type { DocumentBuilder } from '@nestjs/swagger';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SCHEMES } from './schemes.js';

/**
 * Adds to a document what `@ApiSession()` refers to: the session cookie under its name in this application, and bearer tokens where
 * the option `jwt` is set.
 *
 * ```ts
 * const config = addSessionAuth(new DocumentBuilder().setTitle('API'), app).build();
 * ```
 */
export function addSessionAuth(builder: DocumentBuilder, app: INestApplicationContext): DocumentBuilder {
  const { cookie, jwt } = app.get<ResolvedSessionOptions>(SESSION_OPTIONS, { strict: false });
  builder.addCookieAuth(
    cookie.name,
    { type: 'apiKey', in: 'cookie', description: 'The session cookie. Browsers send it by themselves.' },
    SCHEMES.cookie,
  );
  if (!jwt) return builder;
  return builder.addBearerAuth(
    {
      type: 'http',
      scheme: 'bearer',
      bearerFormat: 'JWT',
      description: 'An access token, which dies with its session.',
    },
    SCHEMES.bearer,
  );
}
