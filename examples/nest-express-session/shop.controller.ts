import { Body, Controller, Get, HttpCode, Inject, Post, Req, UnauthorizedException } from '@nestjs/common';
import type { Request } from 'express';
// For its types: it adds the session to Express's Request.
import 'express-session';
import { SessionService } from 'nestjs-sessions';

declare module 'express-session' {
  interface SessionData {
    userId: string;
    cart: string[];
  }
}

@Controller()
export class ShopController {
  constructor(@Inject(SessionService) private readonly sessions: SessionService) {}

  @Post('cart')
  @HttpCode(200)
  add(@Req() { session }: Request, @Body() { item }: { item: string }): string[] {
    session.cart = [...(session.cart ?? []), item];
    return session.cart;
  }

  @Post('login')
  @HttpCode(204)
  async login(@Req() request: Request, @Body() { name, password }: { name: string; password: string }): Promise<void> {
    if (name !== 'ann' || password !== 'ann-password') throw new UnauthorizedException();
    const { cart = [] } = request.session;
    await new Promise<void>((resolve, reject) => {
      request.session.regenerate((error?: Error) => (error ? reject(error) : resolve()));
    });
    Object.assign(request.session, { userId: name, cart });
  }

  @Get('me')
  me(@Req() { session }: Request): { name: string; cart: string[] } {
    if (!session.userId) throw new UnauthorizedException();
    return { name: session.userId, cart: session.cart ?? [] };
  }

  @Post('logout-everywhere')
  @HttpCode(200)
  async logoutEverywhere(@Req() { session }: Request): Promise<{ ended: number }> {
    if (!session.userId) throw new UnauthorizedException();
    return { ended: await this.sessions.endAll(session.userId) };
  }
}
