// A process without HTTP: sweeps by cron, ends the sessions of accounts that were closed, and hears of what happens elsewhere.
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  OnSessionEvent,
  SessionModule,
  SessionService,
  type SessionEventNamed,
  type SessionModuleOptions,
} from 'nestjs-sessions';

@Injectable()
export class SessionChores {
  /** What other instances told of. Yours writes mails. */
  readonly heard: string[] = [];

  constructor(private readonly sessions: SessionService) {}

  @OnSessionEvent('ended')
  note({ userId, reason, remote }: SessionEventNamed<'ended'>): void {
    this.heard.push(`${userId} ${reason} ${remote ? 'elsewhere' : 'here'}`);
  }

  /** Called by cron. */
  async run(closedAccounts: readonly string[]): Promise<{ swept: number; ended: number }> {
    let ended = 0;
    for (const userId of closedAccounts) ended += await this.sessions.endAll(userId, { reason: 'admin' });
    return { swept: await this.sessions.sweep(), ended };
  }
}

/** The options of your application; the worker alone sweeps. */
export function workerModule(options: SessionModuleOptions) {
  @Module({ imports: [SessionModule.forRoot({ ...options, sweeper: false })], providers: [SessionChores] })
  class WorkerModule {}
  return WorkerModule;
}

/** What the crontab starts: `await runOnce({ redis: process.env.REDIS_URL, secrets }, closed)`. */
export async function runOnce(options: SessionModuleOptions, closedAccounts: readonly string[]) {
  const worker = await NestFactory.createApplicationContext(workerModule(options), { logger: ['error', 'warn'] });
  try {
    return await worker.get(SessionChores).run(closedAccounts);
  } finally {
    await worker.close();
  }
}
