import { Module } from '@nestjs/common';
import { SessionModule, type MaxSessionsPerUser } from 'nestjs-sessions';
import { ShopController } from './shop.controller.js';

/** Both kinds of session in one store: those of express-session, and those of the module's own guards. */
export function appModule(maxSessionsPerUser: MaxSessionsPerUser = 5) {
  @Module({
    imports: [
      SessionModule.forRoot({
        ...(process.env['REDIS_URL'] && { redis: process.env['REDIS_URL'] }),
        secrets: process.env['SESSION_SECRET'] ?? 'for this example alone, 32 bytes and more',
        session: { maxSessionsPerUser },
        // rolling, not resaved, no empty sessions, 24 hours, httpOnly, SameSite=Lax, secure in production
        expressSession: { secret: process.env['SESSION_SECRET'] ?? 'for this example alone, 32 bytes and more' },
      }),
    ],
    controllers: [ShopController],
  })
  class AppModule {}
  return AppModule;
}
