import type { RequestSessions } from '../http/session/request-sessions.js';
import type { SessionAdmission } from '../http/authentication/session-admission.js';
import { ConfigurationError } from '../model/errors.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';

/** The part of a realm's `SessionCore` by which requests reach it. */
export interface RealmCore {
  readonly options: ResolvedSessionOptions;
  readonly admission: SessionAdmission;
  readonly requestSessions: RequestSessions;
}

/** The realms of one application. */
export class SessionRealms {
  private readonly claimed: ResolvedSessionOptions[] = [];
  private readonly cores = new Map<string, RealmCore>();

  /** The options of the realms, as they are found at boot. */
  get options(): readonly ResolvedSessionOptions[] {
    return this.claimed;
  }

  claim(options: ResolvedSessionOptions): void {
    this.claimed.push(options);
  }

  add(core: RealmCore): void {
    this.cores.set(core.options.realm, core);
  }

  /** @throws {ConfigurationError} if there is no such realm. */
  require(realm: string): RealmCore {
    const found = this.cores.get(realm);
    if (found) return found;
    throw new ConfigurationError(this.missing(realm));
  }

  /** Why there is nothing for a decorator to choose. */
  missing(realm: string): string {
    const names = this.claimed.map((options) => `"${options.realm}"`).join(', ');
    return `@Realm('${realm}'): there is no such realm${names === '' ? '' : `, only ${names}`}. Import SessionModule.forFeature({ realm: '${realm}' }).`;
  }
}
