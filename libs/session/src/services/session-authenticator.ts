import { Inject, Injectable, Logger, Optional } from '@nestjs/common';
import { CredentialCodec, secretHash, type Credential } from '../model/credential.js';
import { endedError, StoreUnavailableError } from '../model/errors.js';
import { judge, type LineageVerdict, type RotationRule } from '../model/lineage.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { SessionStore, type LiveSession, type RenewRequest, type RotateOutcome } from '../ports/session-store.js';
import { assertActorLives } from './actor-session.js';
import { goneError, invalidToken } from './authentication-errors.js';
import { EndedSessionUses } from './ended-session-uses.js';

export interface AuthenticateOptions {
  /** 64-bit digest of the client, compared when a token is repeated within its grace window. */
  client?: Buffer | null;
  /** Whether the token must neither rotate nor be handed out anew, because its client is not to be trusted. */
  withhold?: (live: LiveSession) => boolean;
}

export interface Authentication {
  readonly live: LiveSession;
  /** The token the client is to use from now on, or null when it has it. */
  readonly cookieToken: string | null;
  /** The secret that was presented, for operations that go on from it. */
  readonly presented: NonNullable<RenewRequest['presented']> | null;
  /** The token was replaced by a renewal a moment ago: it may repeat that renewal and do nothing else. */
  readonly superseded: boolean;
}

/** Judges the cookie's token: the cookie column of the table in `docs/architecture.md`. Records no access. */
@Injectable()
export class SessionAuthenticator {
  private readonly logger = new Logger(SessionAuthenticator.name);
  private readonly rule: RotationRule;

  constructor(
    @Inject(SessionStore) private readonly store: SessionStore,
    @Inject(CredentialCodec) private readonly codec: CredentialCodec,
    @Inject(SESSION_OPTIONS) options: ResolvedSessionOptions,
    @Optional() @Inject(EndedSessionUses) private readonly uses?: EndedSessionUses,
  ) {
    this.rule = {
      grace: options.session.rotationGrace,
      rotateAfter: options.session.renewalInterval,
      rotateFirst: false,
    };
  }

  /**
   * One read for a token whose tag holds, none for others. The store is asked for more only where the token rotates or
   * was stolen.
   *
   * @throws {AuthenticationError} for a token that does not hold, and for that of an ended session, with the reason.
   * @throws {StoreUnavailableError}
   */
  async authenticate(token: string, { client = null, withhold }: AuthenticateOptions = {}): Promise<Authentication> {
    const credential = this.codec.parse(token, 'cookie');
    if (!credential) throw invalidToken();
    const live = await this.store.read(credential.sessionId);
    if (live.state !== 'live') {
      this.uses?.note(credential.sessionId, live);
      throw goneError(live);
    }

    const presented = { hash: secretHash(credential.secret), n: credential.n, client };
    const of = (from: LiveSession, n: number | null, superseded = false): Authentication => ({
      live: from,
      cookieToken: n === null ? null : this.codec.format({ ...credential, n }),
      presented: { kind: 'cookie', hash: presented.hash },
      superseded,
    });
    const { cookie } = live.lineages;
    const verdict = judge(cookie, presented, live.now, this.rule);
    if (verdict !== 'unknown' && verdict !== 'theft') {
      await assertActorLives(this.store, live);
      if (withhold?.(live)) return of(live, null);
    }
    switch (verdict) {
      case 'keep':
        return of(live, null);
      case 'repeat':
        return of(live, cookie?.n ?? null);
      case 'unknown':
        if (!cookie?.previous?.hash.equals(presented.hash) || cookie.previous.until <= live.now) throw invalidToken();
        return of(live, null, true);
      default: {
        const outcome = await this.settle(credential, presented, verdict);
        if (outcome === null) return of(live, null);
        return of(outcome.live, outcome.state === 'kept' ? null : outcome.n);
      }
    }
  }

  /** Has the store decide, which alone may; null where a rotation that was merely due has to wait. */
  private async settle(
    { sessionId }: Credential,
    presented: { hash: Buffer; n: number; client: Buffer | null },
    verdict: LineageVerdict,
  ): Promise<Extract<RotateOutcome, { n: number }> | null> {
    let outcome: RotateOutcome;
    try {
      outcome = await this.store.rotate(sessionId, { kind: 'cookie', presented, touch: true, ...this.rule });
    } catch (error) {
      if (verdict !== 'rotate' || !(error instanceof StoreUnavailableError)) throw error;
      this.logger.warn(`A token that was due could not be rotated and stays as it is: ${error.message}`);
      return null;
    }
    if (outcome.state === 'unknown') throw invalidToken();
    if (outcome.state === 'theft') throw endedError('reuse');
    if (!('live' in outcome)) throw goneError(outcome);
    return outcome;
  }
}
