import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Controller, Get, Header, type INestApplication, NotFoundException, Param } from '@nestjs/common';
import { ApiExcludeController, type OpenAPIObject } from '@nestjs/swagger';
import { Public } from 'nestjs-sessions';
import { filesIn, PAGE_FOLDER, sent } from '../page/page-files.js';
import { apiDocument } from './api-document.js';

/** As for the page at `/`, but Swagger UI has pictures in its style sheet, writes style attributes and sets HTML. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "style-src-attr 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const SWAGGER_UI = dirname(
  createRequire(createRequire(import.meta.url).resolve('@nestjs/swagger')).resolve('swagger-ui-dist/package.json'),
);

/** Swagger UI at `/docs`, from files of this server alone. */
@ApiExcludeController()
@Public()
@Controller('docs')
export class DocsController {
  private readonly page = filesIn(join(PAGE_FOLDER, 'docs'));
  private readonly ui = filesIn(SWAGGER_UI, ['swagger-ui.css', 'swagger-ui-bundle.js']);
  private app: INestApplication | undefined;
  private document: OpenAPIObject | undefined;

  /** The document describes the whole application, which Nest does not inject. */
  describe(app: INestApplication): void {
    this.app = app;
  }

  @Get()
  @Header('Content-Security-Policy', POLICY)
  index() {
    return sent(this.page.get('index.html'));
  }

  @Get('openapi.json')
  openapi(): OpenAPIObject {
    if (!this.app) throw new NotFoundException();
    this.document ??= apiDocument(this.app);
    return this.document;
  }

  @Get(':name')
  file(@Param('name') name: string) {
    return sent(this.page.get(name) ?? this.ui.get(name));
  }
}
