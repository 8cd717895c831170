// Limits by user where somebody is signed in, and by address where nobody is.
import { Controller, Get, Injectable, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import { Public, SessionGuard, SessionModule, type Session } from 'nestjs-sessions';

@Injectable()
export class UserThrottlerGuard extends ThrottlerGuard {
  /** `SessionGuard` has set `session`: it stands before this guard. */
  protected override async getTracker(request: { session?: Session; ip: string }): Promise<string> {
    return request.session ? `user ${request.session.userId}` : `address ${request.ip}`;
  }
}

@Controller()
class ReportController {
  @Get('report')
  report() {
    return { ok: true };
  }

  @Public()
  @Get('open')
  open() {
    return { ok: true };
  }
}

@Module({
  imports: [SessionModule.forRoot(), ThrottlerModule.forRoot([{ ttl: 60_000, limit: 3 }])],
  controllers: [ReportController],
  providers: [
    // In this order.
    { provide: APP_GUARD, useExisting: SessionGuard },
    { provide: APP_GUARD, useClass: UserThrottlerGuard },
  ],
})
export class ThrottledModule {}
