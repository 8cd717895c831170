import { Logger } from '@nestjs/common';
import { type Credential, type CredentialCodec, secretHash, VerifiedCredential } from '../model/credential.js';
import { endedError, StoreUnavailableError } from '../model/errors.js';
import {
  evaluate,
  isUseUnknown,
  type FamilyVerdict,
  type Presented,
  type RotationRule,
} from '../model/token-family.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import type {
  CallOptions,
  SessionStore,
  LiveSession,
  RegenerateRequest,
  RotateOutcome,
  SessionSnapshot,
} from '../ports/session-store.js';
import { requireActor } from './actor-session.js';
import { cookieRule } from './rotation-rules.js';
import { type SessionToucher } from './session-toucher.js';
import { goneError, invalidToken } from '../tokens/authentication-errors.js';
import type { EndedSessionUses } from '../events/ended-session-uses.js';

export interface AuthenticateOptions extends CallOptions {
  /** 64-bit digest of the client, or a function that computes it: compared when a replaced token is presented. */
  client?: Buffer | null | (() => Buffer);
  /**
   * Whether to leave the token as it is, because its client is not trusted: it neither rotates nor is issued again. `actor` is the
   * administrator's own session, for an impersonated one.
   */
  deny?: (live: LiveSession, actor: LiveSession | null) => boolean;
  /**
   * Whether a cookie can be set. Default true. If not, a valid token is accepted and nothing changes: its successor could not
   * be delivered.
   */
  canSetCookie?: boolean;
  /** Whether a near cache may answer: see `LiveSession.cached`. It only ever says that a token is good. Default true. */
  near?: boolean;
  /** A read of the session by `read` that is already under way. Default: it is read now. */
  reading?: Promise<SessionSnapshot> | null;
}

/** What changes when a token is replaced. */
type Successor = Pick<Presented, 'generation'> & { readonly branch: number };

export interface Authentication {
  readonly live: LiveSession;
  /** The token that the client must use from now on; null if it already has it. */
  readonly cookieToken: string | null;
  /** The presented secret, for operations that are conditional on it. */
  readonly presented: NonNullable<RegenerateRequest['presented']> | null;
  /** A regeneration has just replaced the token: it may repeat that regeneration and do nothing else. */
  readonly superseded: boolean;
}

/** Evaluates the cookie's token: the cookie column of the table in `docs/architecture.md`. Records no access. */
export class SessionAuthenticator {
  private readonly logger = new Logger(SessionAuthenticator.name);
  private readonly rule: RotationRule;

  constructor(
    private readonly store: SessionStore,
    private readonly codec: CredentialCodec,
    options: ResolvedSessionOptions,
    private readonly uses?: EndedSessionUses,
    private readonly toucher?: SessionToucher,
  ) {
    this.rule = cookieRule(options);
  }

  /**
   * One read for a token with a valid tag, none for others. A further command only if the token rotates or was reused.
   *
   * @throws {AuthenticationError} for an invalid token, and for one of an ended session, with the reason.
   * @throws {StoreUnavailableError}
   */
  async authenticate(
    token: string | Credential,
    { client = null, deny, canSetCookie = true, near = true, reading, wait }: AuthenticateOptions = {},
  ): Promise<Authentication> {
    const call = wait && { wait };
    const credential = typeof token === 'string' ? this.codec.parse(token, 'cookie') : token;
    if (!credential) throw invalidToken('forged');
    const known = near && !reading ? this.known(credential, deny) : null;
    if (known && !known.session.actor) return kept(known, credential);
    const live = known ?? (await (reading ?? this.store.read(credential.sessionId, call)));
    if (live.state !== 'live') {
      this.uses?.note(credential.sessionId, live);
      throw goneError(live);
    }

    const { hash, generation, branch } = presentedBy(credential);
    const presented: Presented & { client: Buffer | null } = { hash, generation, branch, client: null };
    const of = (from: LiveSession, next: Successor | null, superseded = false): Authentication => ({
      live: from,
      cookieToken: next && this.codec.format({ ...credential, generation: next.generation, branch: next.branch }),
      presented: { kind: 'cookie', hash: presented.hash },
      superseded,
    });
    const { cookie } = live.families;
    let verdict = evaluate(cookie, presented, live.now, this.rule);
    if (verdict !== 'keep' && verdict !== 'unknown') {
      // Its client matters for a replaced token alone.
      presented.client = typeof client === 'function' ? client() : client;
      verdict = evaluate(cookie, presented, live.now, this.rule);
    }
    if (verdict !== 'unknown' && verdict !== 'reuse') {
      const actor = live.session.actor ? await requireActor(this.store, live, call) : null;
      // Of a known session it was asked already.
      if (!known && deny?.(live, actor)) return of(live, null);
    }
    switch (verdict) {
      case 'keep':
        this.noteUse(live);
        return of(live, null);
      case 'repeat':
        return of(live, canSetCookie ? cookie : null);
      case 'unknown':
        if (!cookie?.previous?.hash.equals(presented.hash) || cookie.previous.until <= live.now)
          throw invalidToken('replaced');
        return of(live, null, true);
      default: {
        const canWait = verdict === 'rotate' || verdict === 'branch';
        const outcome = canWait && !canSetCookie ? null : await this.settle(live, presented, verdict, call);
        if (outcome !== null) return of(outcome.live, outcome.state === 'kept' ? null : outcome);
        if (verdict === 'rotate' && !canSetCookie) this.noteUse(live);
        return of(live, null);
      }
    }
  }

  /**
   * What a near cache knows, if the token is good by it and stays as it is. Everything else is for the store to say, and of an
   * impersonated session whether the administrator's own lives. Call `noteUse` if the token counts.
   */
  peek(credential: Credential): Authentication | null {
    // A store of a user's own may lack the method.
    return this.accept(credential, this.store.peek?.(credential.sessionId) ?? null);
  }

  /** Reads the session of a credential, for `accept` or `authenticate`. */
  read({ sessionId }: Credential, call: CallOptions): Promise<SessionSnapshot> {
    return this.store.read(sessionId, call);
  }

  /** Like `peek`, by what was read. */
  accept(credential: Credential, snapshot: SessionSnapshot | null): Authentication | null {
    return snapshot?.state === 'live' && !snapshot.session.actor && this.stays(credential, snapshot)
      ? kept(snapshot, credential)
      : null;
  }

  /** Whether the token is good by what is known, and stays as it is. */
  private stays(credential: Credential, { families, now }: LiveSession): boolean {
    return evaluate(families.cookie, presentedBy(credential), now, this.rule) === 'keep';
  }

  /** What a near cache knows of a session, impersonated or not. */
  private known(credential: Credential, deny: AuthenticateOptions['deny']): LiveSession | null {
    const live = this.store.peek?.(credential.sessionId) ?? null;
    if (!live || !this.stays(credential, live)) return null;
    const { actor } = live.session;
    const own = actor ? (this.store.peek?.(actor.sessionId) ?? null) : null;
    if ((actor && own?.session.userId !== actor.userId) || deny?.(live, own) === true) return null;
    this.noteUse(live);
    return live;
  }

  /**
   * The session, where it lives, and the administrator's where it is impersonated. One read.
   *
   * @throws {AuthenticationError} for an ended session, with the reason.
   * @throws {StoreUnavailableError}
   */
  async requireLive(sessionId: string, call?: CallOptions): Promise<LiveSession> {
    const live = await this.store.read(sessionId, call);
    if (live.state !== 'live') {
      this.uses?.note(sessionId, live);
      throw goneError(live);
    }
    if (live.session.actor) await requireActor(this.store, live, call);
    return live;
  }

  /** Records, if it is not known, that the session's token is in use: a replaced one that comes later counts as reuse. */
  noteUse(live: LiveSession): void {
    const { cookie } = live.families;
    if (this.rule.reuseDetection === 'after-use' && isUseUnknown(cookie))
      this.toucher?.noteUse(live, { kind: 'cookie', branch: cookie.branch });
  }

  /** Of tokens that this server signed, the newest of each live session whose secret it has. One read per session. */
  async findLiving(credentials: readonly Credential[], call?: CallOptions): Promise<Credential[]> {
    const ids = [...new Set(credentials.map(({ sessionId }) => sessionId))];
    const found = await Promise.all(
      ids.map(async (id) => {
        const live = await this.store.read(id, call);
        if (live.state !== 'live') return [];
        const { cookie } = live.families;
        const newestFirst = credentials
          .filter(({ sessionId }) => sessionId === id)
          .sort((a, b) => b.generation - a.generation || (b.branch ?? 0) - (a.branch ?? 0));
        const withHash = (hash: Buffer | undefined): Credential | undefined =>
          hash && newestFirst.find(({ secret }) => secretHash(secret).equals(hash));
        return withHash(cookie?.hash) ?? withHash(cookie?.previous?.hash) ?? [];
      }),
    );
    return found.flat();
  }

  /** Asks the store, which decides; null if the token is valid and its rotation must wait. */
  private async settle(
    { session }: LiveSession,
    presented: Presented,
    verdict: FamilyVerdict,
    call: CallOptions | undefined,
  ): Promise<Extract<RotateOutcome, { generation: number }> | null> {
    let outcome: RotateOutcome;
    try {
      outcome = await this.store.rotate(session.id, { kind: 'cookie', presented, touch: true, ...this.rule, ...call });
    } catch (error) {
      const canWait = verdict === 'rotate' || verdict === 'branch';
      if (!canWait || !(error instanceof StoreUnavailableError)) throw error;
      this.logger.warn(`A token could not be rotated and stays valid: ${error.message}`);
      return null;
    }
    if (outcome.state === 'unknown') throw invalidToken('replaced');
    if (outcome.state === 'reuse') throw endedError('reuse');
    if (!('live' in outcome)) throw goneError(outcome);
    return outcome;
  }
}

function presentedBy(credential: Credential): Presented {
  if (credential instanceof VerifiedCredential) return credential;
  const { secret, generation, branch } = credential;
  return { hash: secretHash(secret), generation, branch };
}

function kept(live: LiveSession, credential: Credential): Authentication {
  const { hash } = presentedBy(credential);
  return { live, cookieToken: null, presented: { kind: 'cookie', hash }, superseded: false };
}
