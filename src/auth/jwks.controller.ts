import { Controller, Get, Header } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Public, TokenService } from 'nestjs-sessions';
import { Answer } from '../openapi/answer.js';
import { KEYS } from '../openapi/answers.js';

/** The public keys of access tokens, for services that verify tokens themselves (RFC 7517). */
@ApiTags('Operation')
@Controller('.well-known')
export class JwksController {
  constructor(private readonly tokens: TokenService) {}

  @Answer({ summary: 'The public keys of access tokens', ...KEYS })
  @Public()
  @Get('jwks.json')
  @Header('Cache-Control', 'public, max-age=300')
  keys(): ReturnType<TokenService['jwks']> {
    return this.tokens.jwks();
  }
}
