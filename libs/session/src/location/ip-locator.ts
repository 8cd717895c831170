import { Logger } from '@nestjs/common';
import { messageOf } from '../model/error-text.js';
import type { SessionLocation } from '../model/session.js';
import { canonicalIp, keptIp } from '../model/ip.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { answerWithin } from '../ports/settled-within.js';

/** Maximum time that a sign-in waits for the location, ms. */
const PATIENCE = 250;

/** Longest name of a country or city that is kept. */
const LONGEST_NAME = 100;

/** Calls the option `locate`. A sign-in continues without a location if the answer is late, wrong or missing. */
export class IpLocator {
  private readonly logger = new Logger(IpLocator.name);
  private failing = false;

  constructor(private readonly options: ResolvedSessionOptions) {}

  /** Never rejects. Undefined if the location is unknown. */
  async locate(ip: string | null): Promise<SessionLocation | undefined> {
    const { locate, security } = this.options;
    const address = canonicalIp(ip);
    if (!locate || address === null) return undefined;
    try {
      const found: unknown = await answerWithin(Promise.resolve(locate(address)), PATIENCE);
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
      // Logged once, when it starts to fail.
      if (!this.failing) this.logger.warn(`The option "locate" fails: ${messageOf(error)}`);
      this.failing = true;
      return undefined;
    }
  }
}

function nameIn(found: unknown, key: string): string | undefined {
  if (typeof found !== 'object' || found === null) return undefined;
  const value = (found as Record<string, unknown>)[key];
  return typeof value === 'string' && value !== '' ? value.slice(0, LONGEST_NAME) : undefined;
}
