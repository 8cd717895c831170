import { Inject, Injectable, Logger } from '@nestjs/common';
import type { SessionLocation } from '../model/session.js';
import { canonicalIp, keptIp } from '../model/ip.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';

/** How long a sign-in waits for its location, ms. */
const PATIENCE = 250;

/** Longest name of a country or city that is kept. */
const LONGEST_NAME = 100;

/** Asks the option `locate` where an address is. A sign-in goes on without an answer that is late, wrong or missing. */
@Injectable()
export class SessionLocator {
  private readonly logger = new Logger(SessionLocator.name);
  private failing = false;

  constructor(@Inject(SESSION_OPTIONS) private readonly options: ResolvedSessionOptions) {}

  /** Never rejects. Undefined where nothing is known. */
  async locate(ip: string | null): Promise<SessionLocation | undefined> {
    const { locate, security } = this.options;
    const address = canonicalIp(ip);
    if (!locate || address === null) return undefined;
    try {
      const found: unknown = await withinPatience(async () => locate(address));
      this.failing = false;
      const country = nameIn(found, 'country');
      const city = nameIn(found, 'city');
      if (country === undefined && city === undefined) return undefined;
      return {
        ip: keptIp(address, security.ipPrivacy) ?? '',
        ...(country !== undefined && { country }),
        ...(city !== undefined && { city }),
      };
    } catch (error) {
      // Once for each time it begins to fail: sign-ins are many.
      if (!this.failing)
        this.logger.warn(`The option "locate" fails: ${error instanceof Error ? error.message : String(error)}`);
      this.failing = true;
      return undefined;
    }
  }
}

async function withinPatience<T>(ask: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE} ms`)), PATIENCE);
  });
  try {
    return await Promise.race([ask(), late]);
  } finally {
    clearTimeout(timer);
  }
}

function nameIn(found: unknown, key: string): string | undefined {
  if (typeof found !== 'object' || found === null) return undefined;
  const value = (found as Record<string, unknown>)[key];
  return typeof value === 'string' && value !== '' ? value.slice(0, LONGEST_NAME) : undefined;
}
