import { Controller, Get, Header, Param, type StreamableFile } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { Public } from 'nestjs-sessions';
import { CLIENT_FOLDER, filesIn, PAGE_FOLDER, sent } from './page-files.js';

/** What the page needs, all of it from here: no script, style or frame of anybody else, and none in the page itself. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ');

/** The page at `/`, for people: where they are signed in. It uses the routes that everybody has. */
@ApiExcludeController()
@Public()
@Controller()
export class PageController {
  private readonly page = filesIn(PAGE_FOLDER);
  private readonly client = filesIn(CLIENT_FOLDER);

  @Get()
  @Header('Content-Security-Policy', POLICY)
  index(): StreamableFile {
    return sent(this.page.get('index.html'));
  }

  @Get('assets/:name')
  asset(@Param('name') name: string): StreamableFile {
    return sent(this.page.get(name));
  }

  @Get('client/:name')
  script(@Param('name') name: string): StreamableFile {
    return sent(this.client.get(name));
  }
}
