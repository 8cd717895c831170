import { createHash } from 'node:crypto';
import { dpopRefusal, badProof } from '../../model/dpop-refusal.js';
import { accessTokenHash, isTargetOf, readDpopProof, type DpopProof } from '../../model/dpop-proof.js';
import { tenantPrefix } from '../../model/tenant.js';
import type { ResolvedDpopOptions } from '../../options/resolved-options.js';
import type { SpentProofs } from '../../ports/spent-proofs.js';
import type { StoreWait } from '../../ports/store-wait.js';
import type { ChallengeSettings } from '../exchange/challenges.js';
import type { HttpExchange } from '../exchange/http-exchange.js';
import { targetOf } from '../exchange/request-target.js';
import type { PresentedToken } from './bearer-token.js';
import { NONCE_LIFETIME, type DpopNonces } from './dpop-nonces.js';
import type { CheckedProof, RequestContext } from './request-context.js';

/** How much longer than it is good for a proof is remembered, ms: instances disagree about the time by a little. */
const MARGIN = 5_000;

/**
 * Checks the proofs of possession of requests (RFC 9449, 4.3). Nothing is sent to the store for a proof that does not fit, and one
 * write for a proof that does. A proof counts for the request that it came with, however often that is asked about it.
 */
export class DpopProofs {
  /** By the request that opened a socket: the token that was proved. Each message is authenticated by itself, with one proof for all. */
  private readonly opened = new WeakMap<object, { readonly token: string; readonly spent: Promise<void> }>();
  private readonly origin: string | null;
  private readonly prefix: string;
  readonly challenges: ChallengeSettings;

  constructor(
    private readonly options: ResolvedDpopOptions,
    private readonly nonces: DpopNonces,
    private readonly spent: SpentProofs,
    private readonly now: () => number,
    private readonly tenantOf: () => string,
  ) {
    const { publicUrl, algorithms, mode } = options;
    this.origin = publicUrl?.origin ?? null;
    this.prefix = publicUrl?.pathname.replace(/\/+$/, '') ?? '';
    this.challenges = Object.freeze({ algorithms, bearer: mode === 'optional' });
  }

  /** Whether tokens must be bound to keys. */
  get required(): boolean {
    return this.options.mode === 'required';
  }

  /**
   * For an access token: whether it counts in this request. See `ConfirmKey`.
   *
   * @throws {AuthenticationError} `dpop_required`, `invalid_token`, `invalid_dpop_proof` or `use_dpop_nonce`.
   */
  confirm(context: RequestContext, { scheme, token }: PresentedToken, jkt: string | undefined): Promise<void> {
    if (scheme === 'bearer') {
      if (jkt !== undefined) throw dpopRefusal('bound');
      if (this.required) throw dpopRefusal('required');
      return Promise.resolve();
    }
    if (jkt === undefined) throw dpopRefusal('unbound');
    const { isUpgrade, node } = context.exchange;
    const opened = isUpgrade ? this.opened.get(node) : undefined;
    if (opened?.token === token) return opened.spent;
    const proof = this.proofOf(context);
    if (proof.ath !== accessTokenHash(token)) throw badProof('ath must be the hash of the access token');
    if (proof.thumbprint !== jkt) throw dpopRefusal('key');
    const spent = this.spend(proof, context);
    if (isUpgrade) this.remember(node, token, spent);
    return spent;
  }

  /**
   * The thumbprint of the key for new tokens; undefined for a request without a proof, where bearer tokens are issued too.
   *
   * @param bound Of the key that the refresh token is bound to; undefined if it is bound to none.
   * @throws {AuthenticationError} without a good proof, or with one of another key.
   */
  async keyFor(context: RequestContext, bound?: string): Promise<string | undefined> {
    const isSent = context.exchange.request.headers['dpop'] !== undefined;
    if (!isSent && bound === undefined) {
      if (this.required) throw dpopRefusal('required');
      return undefined;
    }
    const proof = this.proofOf(context);
    if (bound !== undefined && proof.thumbprint !== bound) throw dpopRefusal('key');
    await this.spend(proof, context);
    return proof.thumbprint;
  }

  /** The proof of a request, which fits it and may be new. Checked once. */
  private proofOf(context: RequestContext): CheckedProof {
    return (context.proof ??= this.checked(context.exchange));
  }

  private checked(exchange: HttpExchange): CheckedProof {
    const header: unknown = exchange.request.headers['dpop'];
    if (header === undefined) throw dpopRefusal('missing');
    if (exchange.countHeader('dpop') > 1 || typeof header !== 'string') throw dpopRefusal('twice');
    const proof = readDpopProof(header, this.options.algorithms);
    if ('fault' in proof) throw badProof(proof.fault);
    if (proof.htm !== exchange.method) throw badProof('htm must be the method of the request');
    const { origin: sentTo, path } = targetOf(exchange);
    const origin = this.origin ?? sentTo;
    if (origin === null || path === null || !isTargetOf(proof.htu, { origin, path: this.prefix + path }))
      throw badProof(
        `htu must be the URL of the request, which arrived at ${origin ?? 'an unknown host'}; behind a proxy, set trust proxy or jwt.dpop.publicUrl`,
      );
    return { ...proof, until: this.deadlineOf(exchange, proof), spent: null };
  }

  /** By the client's clock, or by the server's own where the proof has a nonce of ours (RFC 9449, 11.1). */
  private deadlineOf(exchange: HttpExchange, { iat, nonce }: DpopProof): number {
    const now = this.now();
    if (nonce !== undefined) {
      const issuedAt = this.nonces.issuedAt(nonce, now);
      if (issuedAt === null) throw this.demandNonce(exchange, now);
      if (now - issuedAt > NONCE_LIFETIME / 2) this.offerNonce(exchange, now);
      return issuedAt + NONCE_LIFETIME;
    }
    const { window } = this.options;
    if (this.options.nonce || Math.abs(now - iat * 1000) > window) throw this.demandNonce(exchange, now);
    return iat * 1000 + window;
  }

  private demandNonce(exchange: HttpExchange, now: number): Error {
    this.offerNonce(exchange, now);
    return dpopRefusal('nonce');
  }

  private offerNonce(exchange: HttpExchange, now: number): void {
    exchange.setHeader('dpop-nonce', this.nonces.issue(now));
    exchange.forbidCaching();
  }

  private spend(proof: CheckedProof, { wait }: RequestContext): Promise<void> {
    return (proof.spent ??= this.spendOnce(proof, wait));
  }

  private async spendOnce({ thumbprint, jti, until }: CheckedProof, wait: StoreWait): Promise<void> {
    const digest = createHash('sha256').update(tenantPrefix(this.tenantOf())).update(thumbprint).update(jti);
    const lifetime = Math.max(0, until - this.now()) + MARGIN;
    if (!(await this.spent.spend(digest.digest('base64url'), lifetime, wait))) throw dpopRefusal('replayed');
  }

  /** A proof that could not be looked at is looked at again with the next message. */
  private remember(node: object, token: string, spent: Promise<void>): void {
    this.opened.set(node, { token, spent });
    spent.catch(() => this.opened.delete(node));
  }
}
