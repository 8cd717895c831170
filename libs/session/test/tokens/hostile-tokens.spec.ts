import { jest } from '@jest/globals';
import { Socket } from 'node:net';
import { newTokenId } from '../../src/model/access-claims.js';
import { loadJwtSigners } from '../../src/core/load-jwt-signers.js';
import { CredentialCodec } from '../../src/model/credential.js';
import { MemorySessionStore } from '../../src/memory/memory-session-store.js';
import type { Session } from '../../src/model/session.js';
import { resolveSessionOptions } from '../../src/options/resolve-options.js';
import { TokenService } from '../../src/tokens/token-service.js';
import { goodToken, hostileTokens, makeKeys } from '../support/hostile-tokens.js';

const keys = makeKeys();
const NOW = 1_800_000_000_000;

/** Counts what the store is asked. */
class CountingStore extends MemorySessionStore {
  commands = 0;
  override async read(...args: Parameters<MemorySessionStore['read']>): ReturnType<MemorySessionStore['read']> {
    this.commands += 1;
    return super.read(...args);
  }
  override async rotate(...args: Parameters<MemorySessionStore['rotate']>): ReturnType<MemorySessionStore['rotate']> {
    this.commands += 1;
    return super.rotate(...args);
  }
  override async revokeToken(
    ...args: Parameters<MemorySessionStore['revokeToken']>
  ): ReturnType<MemorySessionStore['revokeToken']> {
    this.commands += 1;
    return super.revokeToken(...args);
  }
}

const options = resolveSessionOptions({
  jwt: {
    issuer: 'https://issuer.example',
    audience: 'api',
    keys: [
      { kid: 'hs', alg: 'HS256', secret: keys.hs.secret },
      { kid: 'rs', alg: 'RS256', privateKey: keys.rs.privateKey },
      { kid: 'es', alg: 'ES256', privateKey: keys.es.privateKey },
    ],
  },
});
const store = new CountingStore({ clock: () => NOW });
const createSigner = await loadJwtSigners();
const tokens = new TokenService(store, new CredentialCodec(options.keys.credential), options, createSigner);
const session: Session = await store.create({ userId: 'user-1', email: 'user@example.com' });
const claims = {
  iss: 'https://issuer.example',
  sub: 'user-1',
  aud: 'api',
  sid: session.id,
  jti: newTokenId(session.id, NOW),
  iat: NOW / 1000,
  exp: NOW / 1000 + 900,
};
const hostile = hostileTokens(keys, claims, NOW);

beforeEach(() => {
  store.commands = 0;
});

describe('hostile access tokens (ASVS 5.0, 9.1.1 to 9.2.4; RFC 8725)', () => {
  it('accepts the token that all of them are made from, with one read', async () => {
    const { live } = await tokens.verify(goodToken(keys, claims));
    expect(live.session.id).toBe(session.id);
    expect(store.commands).toBe(1);
  });

  it('is a table of 400 or more, each wrong in its own way', () => {
    expect(new Set(hostile.map(({ token }) => token)).size).toBeGreaterThanOrEqual(400);
  });

  it.each(hostile)('refuses: $name', async ({ token }) => {
    await expect(tokens.verify(token)).rejects.toMatchObject({ code: 'invalid_token', statusCode: 401 });
    expect(store.commands).toBe(0);
  });

  it.each(hostile)('revokes nothing for: $name', async ({ name, token }) => {
    const outcome = await tokens.revoke(token).catch((error: unknown) => error);
    // A token of ours that has merely expired is dead already: signing out with it is a no-op, not an error.
    if (/^exp (is now|a second ago)$/.test(name)) expect(outcome).toBe(false);
    else expect(outcome).toMatchObject({ code: 'invalid_token', statusCode: 401 });
    expect(store.commands).toBe(0);
  });

  it.each([null, undefined, 5, {}, [], ['a.b.c'], true])('refuses what is no text: %p', async (token) => {
    await expect(tokens.verify(token as string)).rejects.toMatchObject({ code: 'invalid_token' });
    await expect(tokens.refresh(token)).rejects.toMatchObject({ code: 'invalid_token' });
    expect(store.commands).toBe(0);
  });
});

describe('keys that come with the token', () => {
  it('ASVS 9.1.3: jwk, jku, x5u and x5c are 401, and nobody is asked for them', async () => {
    const connect = jest.spyOn(Socket.prototype, 'connect');
    const injected = hostile.filter(({ name }) => /header (jwk|jku|x5u|x5c) /.test(name));
    expect(injected.length).toBeGreaterThanOrEqual(20);
    for (const { token } of injected)
      await expect(tokens.verify(token)).rejects.toMatchObject({ code: 'invalid_token' });
    expect(connect).not.toHaveBeenCalled();
    connect.mockRestore();
  });

  it('ASVS 9.2.1: the table holds tokens without exp, at and past it, and before their nbf', () => {
    const names = hostile.map(({ name }) => name);
    for (const name of ['exp is now', 'exp a second ago', 'nbf a minute ahead']) expect(names).toContain(name);
    expect(names.filter((name) => /exp/.test(name)).length).toBeGreaterThan(10);
  });

  it('ASVS 9.2.3: a token for another audience is 401, and each of several of ours is good', async () => {
    const at = (audience: string | string[]): TokenService => {
      const own = resolveSessionOptions({
        jwt: {
          issuer: 'https://issuer.example',
          audience,
          keys: [{ kid: 'hs', alg: 'HS256', secret: keys.hs.secret }],
        },
      });
      return new TokenService(store, new CredentialCodec(own.keys.credential), own, createSigner);
    };
    const token = goodToken(keys, { ...claims, aud: ['billing', 'api'] });
    for (const audience of ['api', 'billing', ['x', 'api']])
      expect((await at(audience).verify(token)).tokenId).toBe(claims.jti);
    for (const audience of ['x', 'ap', ['x', 'y']])
      await expect(at(audience).verify(token)).rejects.toMatchObject({ code: 'invalid_token' });
  });
});

describe('spellings of one signature', () => {
  it('revokes by jti, so that the other spellings of an RS256 signature die with it (CVE class: token hash as key)', async () => {
    const { signText } = await import('../support/hostile-tokens.js');
    const jti = newTokenId(session.id, NOW);
    const token = signText(
      JSON.stringify({ alg: 'RS256', typ: 'at+jwt', kid: 'rs' }),
      JSON.stringify({ ...claims, jti }),
      { alg: 'RS256', key: keys.rs.privateKey },
    );
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(token.slice(-1));
    const variants = Array.from(
      { length: 16 },
      (_, spare) => token.slice(0, -1) + alphabet.charAt((last & 0x30) | spare),
    );
    expect(new Set(variants).size).toBe(16);
    const before = await Promise.allSettled(variants.map((variant) => tokens.verify(variant)));
    expect(before.filter(({ status }) => status === 'fulfilled').length).toBe(16);
    expect(await tokens.revoke(token)).toBe(true);
    for (const variant of variants)
      await expect(tokens.verify(variant)).rejects.toMatchObject({ code: 'session_revoked' });
  });
});
