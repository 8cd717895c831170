import { Controller, Get, Header } from '@nestjs/common';
import { Public, TokenService } from 'nestjs-sessions';

/** The public keys of access tokens, for services that verify them on their own (RFC 7517). */
@Controller('.well-known')
export class JwksController {
  constructor(private readonly tokens: TokenService) {}

  @Public()
  @Get('jwks.json')
  @Header('Cache-Control', 'public, max-age=300')
  keys(): ReturnType<TokenService['jwks']> {
    return this.tokens.jwks();
  }
}
