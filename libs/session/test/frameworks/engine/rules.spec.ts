import { InvalidArgumentError } from '../../../src/model/errors.js';
import { lifetimeOf } from '../../../src/frameworks/engine/session-lifetime.js';
import { fastifyOwner, ownerOf } from '../../../src/frameworks/engine/session-owner.js';
import { changeBetween, ContentCodec } from '../../../src/frameworks/engine/session-content.js';

const codec = new ContentCodec(null);

describe('the lifetime of a framework session', () => {
  it.each([0.000_1, 0.000_9, 1.000_4])('a ttl of %p s is rounded up: a positive one never ends the session', (ttl) => {
    const lifetime = lifetimeOf({}, { ttl: () => ttl, disableTTL: false });
    expect(lifetime).toBe(Math.trunc(ttl * 1000) + 1);
  });
});

describe('the user of a framework session', () => {
  it.each([NaN, Infinity, -Infinity])('is never %p', (id) => {
    expect(() => ownerOf({}, () => id)).toThrow(InvalidArgumentError);
    expect(ownerOf({ userId: id, passport: { user: id }, user: { id } }, undefined)).toBeNull();
    expect(fastifyOwner({ passport: id })).toBeNull();
  });

  it('may be a number', () => {
    expect(ownerOf({ userId: 0 }, undefined)).toEqual({ id: '0' });
  });
});

describe('what a request changed', () => {
  const lasting = { path: '/', expires: new Date(1_900_000_000_000) };
  const later = { path: '/', expires: new Date(1_900_000_060_000) };
  const untilClosed = { path: '/', expires: null };

  it.each([
    ['a later expiry is no change', lasting, later, {}],
    ['a cookie that stops expiring is one', lasting, untilClosed, { cookie: expect.anything() }],
    ['a cookie that starts to expire is one', untilClosed, lasting, { cookie: expect.anything() }],
  ])('%s', async (_, before, after, set) => {
    const [base, mine] = [await codec.of({ cookie: before }), await codec.of({ cookie: after })];
    expect(changeBetween(base, mine)).toEqual({ set, removed: [] });
  });
});
