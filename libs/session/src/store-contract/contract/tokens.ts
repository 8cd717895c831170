import type { LiveSession } from '../../ports/session-store.js';
import { expectRefusal, HOUR, MINUTE, SECOND, type OpenStore, type TestBed } from '../test-bed.js';
import { describe, expect, it } from '../test-api.js';

async function isRevoked(bed: TestBed, sessionId: string, tokenId: string): Promise<boolean> {
  return ((await bed.store.read(sessionId, { tokenId })) as LiveSession).tokenRevoked;
}

async function tokensFrom(bed: TestBed, sessionId: string): Promise<number> {
  return ((await bed.store.read(sessionId)) as LiveSession).tokensFrom;
}

export function describeTokens(open: OpenStore): void {
  describe('revokeToken', () => {
    it('kills one token, on every instance at once; the session and its other tokens live', async () => {
      const bed = await open();
      const second = await bed.second();
      const { id } = await bed.store.create({ userId: 'ada' });
      const other = await bed.store.create({ userId: 'ada' });
      const tokens = [`${id}.1`, `${id}.2`] as const;
      expect(await isRevoked(bed, id, tokens[0])).toBe(false);
      expect(await second.revokeToken(id, tokens[0], bed.store.now() + HOUR)).toBe(true);
      expect(await isRevoked(bed, id, tokens[0])).toBe(true);
      expect(await second.read(id, { tokenId: tokens[0] })).toMatchObject({ state: 'live', tokenRevoked: true });
      expect(await isRevoked(bed, id, tokens[1])).toBe(false);
      expect(await isRevoked(bed, other.id, `${other.id}.1`)).toBe(false);
      expect(await bed.store.read(id)).toMatchObject({ state: 'live', tokenRevoked: false });
    });

    it('holds until the token expires by itself, to the end (a token revoked just before its exp is refused)', async () => {
      const bed = await open();
      const { id } = await bed.store.create({ userId: 'ada' });
      const expiresAt = bed.store.now() + 15 * MINUTE;
      await bed.goJustBefore(expiresAt);
      expect(await bed.store.revokeToken(id, `${id}.1`, expiresAt)).toBe(true);
      expect(await isRevoked(bed, id, `${id}.1`)).toBe(true);
    });

    it('is not shortened by a repeat, and survives what else happens to the session', async () => {
      const bed = await open();
      const { store } = bed;
      const { id } = await store.create({ userId: 'ada' });
      const expiresAt = store.now() + 15 * MINUTE;
      await store.revokeToken(id, `${id}.1`, expiresAt);
      expect(await store.revokeToken(id, `${id}.1`, store.now() + MINUTE)).toBe(true);
      await store.update(id, { data: { a: 1 } });
      await store.updateUser('ada', { roles: ['user'] });
      await store.create({ userId: 'ada' });
      await store.regenerate(id, { credentials: {}, freshen: true, repeatableFor: 0 });
      await store.sweep();
      await bed.goJustBefore(expiresAt);
      expect(await isRevoked(bed, id, `${id}.1`)).toBe(true);
    });

    it('is false where no session lives: its tokens are dead already', async () => {
      const bed = await open();
      const { store } = bed;
      const { id } = await store.create({ userId: 'ada' });
      await store.destroy(id);
      expect(await store.revokeToken(id, `${id}.1`, store.now() + HOUR)).toBe(false);
      expect(await store.revokeToken('x'.repeat(32), 'x', store.now() + HOUR)).toBe(false);
    });

    it('refuses an exp in seconds, which would silently revoke nothing', async () => {
      const bed = await open();
      const { store } = bed;
      const { id } = await store.create({ userId: 'ada' });
      for (const expiresAt of [Math.floor((store.now() + HOUR) / 1_000), NaN, Infinity, '2030-01-01', undefined]) {
        await expectRefusal(store.revokeToken(id, `${id}.1`, expiresAt as number), 'invalid_argument');
      }
      expect(await isRevoked(bed, id, `${id}.1`)).toBe(false);
    });

    it('remembers 100 tokens of a session', async () => {
      const bed = await open();
      const { id } = await bed.store.create({ userId: 'ada' });
      const expiresAt = bed.store.now() + HOUR;
      const tokens = Array.from({ length: 100 }, (_, index) => `${id}.${index}`);
      const instances = await bed.instances(100);
      await Promise.all(instances.map((store, index) => store.revokeToken(id, `${id}.${index}`, expiresAt)));
      const revoked = await Promise.all(tokens.map((tokenId) => isRevoked(bed, id, tokenId)));
      expect(revoked).toEqual(Array(100).fill(true));
    });

    it('past a thousand, raises the cutoff of their session instead; other sessions keep their tokens', async () => {
      const bed = await open();
      const { store } = bed;
      const { id } = await store.create({ userId: 'ada' });
      const other = await store.create({ userId: 'ada' });
      const expiresAt = store.now() + HOUR;
      await store.revokeToken(other.id, `${other.id}.0`, expiresAt);
      for (let batch = 0; batch < 10; batch += 1) {
        const numbers = Array.from({ length: 100 }, (_, index) => batch * 100 + index);
        if (batch === 9) numbers.pop();
        await Promise.all(numbers.map(async (number) => store.revokeToken(id, `${id}.${number}`, expiresAt)));
      }
      expect(await tokensFrom(bed, id)).toBe(0);
      const before = store.now();
      expect(await store.revokeToken(id, `${id}.last`, expiresAt)).toBe(true);
      expect(await tokensFrom(bed, id)).toBeGreaterThan(before - (bed.exactTime ? 0 : SECOND));
      expect(await isRevoked(bed, id, `${id}.0`)).toBe(false);
      expect(await tokensFrom(bed, other.id)).toBe(0);
      expect(await isRevoked(bed, other.id, `${other.id}.0`)).toBe(true);
      expect((await store.get(id))?.id).toBe(id);
      expect(await store.revokeToken(id, `${id}.next`, expiresAt)).toBe(true);
      expect(await isRevoked(bed, id, `${id}.next`)).toBe(true);
    });

    it('announces the change', async () => {
      const bed = await open();
      const log = await bed.record();
      const { id } = await bed.store.create({ userId: 'ada' });
      await bed.store.revokeToken(id, `${id}.1`, bed.store.now() + HOUR);
      expect((await log.of('changed', id)).length).toBeGreaterThan(0);
    });
  });

  describe('revokeTokens', () => {
    it('kills all tokens issued to the user so far; the sessions live on', async () => {
      const bed = await open();
      const second = await bed.second();
      const sessions = [await bed.store.create({ userId: 'ada' }), await bed.store.create({ userId: 'ada' })];
      const bobs = await bed.store.create({ userId: 'bob' });
      await bed.advance(SECOND);
      const before = bed.store.now();
      const cutoff = await second.revokeTokens('ada');
      expect(cutoff).toBeGreaterThan(before - (bed.exactTime ? 0 : SECOND));
      for (const session of sessions) {
        expect(await tokensFrom(bed, session.id)).toBe(cutoff);
        expect(await bed.store.get(session.id)).toEqual(session);
      }
      expect(await tokensFrom(bed, bobs.id)).toBeLessThan(before);
    });

    it('spares what is issued later, to sessions old and new', async () => {
      const bed = await open();
      const old = await bed.store.create({ userId: 'ada' });
      await bed.store.revokeTokens('ada');
      await bed.advance(SECOND);
      const issuedAt = bed.store.now();
      const fresh = await bed.store.create({ userId: 'ada' });
      expect(await tokensFrom(bed, old.id)).toBeLessThanOrEqual(issuedAt);
      expect(await tokensFrom(bed, fresh.id)).toBeLessThanOrEqual(issuedAt);
    });

    it('only ever moves the cutoff forward', async () => {
      const bed = await open();
      const { id } = await bed.store.create({ userId: 'ada' });
      const instances = await bed.instances(10);
      const cutoffs: number[] = [];
      for (const store of instances) {
        cutoffs.push(await store.revokeTokens('ada'));
        await bed.advance(10);
      }
      expect(cutoffs).toEqual([...cutoffs].sort((a, b) => a - b));
      expect(await tokensFrom(bed, id)).toBe(Math.max(...cutoffs));
      await bed.store.sweep();
      expect(await tokensFrom(bed, id)).toBe(Math.max(...cutoffs));
    });

    it('is the later one of the user’s cutoff and the session’s', async () => {
      const bed = await open();
      const { id } = await bed.store.create({ userId: 'ada' });
      const user = await bed.store.revokeTokens('ada');
      await bed.advance(SECOND);
      await bed.store.regenerate(id, { credentials: {}, freshen: false, repeatableFor: 0 });
      expect(await tokensFrom(bed, id)).toBeGreaterThan(user);
      await bed.advance(SECOND);
      const later = await bed.store.revokeTokens('ada');
      expect(await tokensFrom(bed, id)).toBe(later);
    });

    it('of a user without sessions is a cutoff all the same', async () => {
      const bed = await open();
      const before = bed.store.now();
      expect(await bed.store.revokeTokens('nobody')).toBeGreaterThan(before - (bed.exactTime ? 0 : SECOND));
      expect(await bed.store.count()).toBe(0);
    });

    it('announces a change of each live session, and of no other', async () => {
      const bed = await open();
      const log = await bed.record();
      const live = await bed.store.create({ userId: 'ada' });
      const idle = await bed.store.create({ userId: 'ada' }, { idleTimeout: MINUTE });
      await bed.goPast(idle.createdAt + MINUTE);
      await bed.store.revokeTokens('ada');
      expect((await log.of('changed', live.id)).length).toBeGreaterThan(0);
      expect(await log.of('changed', idle.id)).toEqual([]);
    });
  });
}
