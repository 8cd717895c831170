import fc from 'fast-check';
import type { Session } from '../../src/model/session.js';
import { copyOfSession, isFlat } from '../../src/near-cache/session-copies.js';

const text = fc.string({ maxLength: 5 });
/** `__proto__` is a name that no store keeps. */
const name = text.filter((key) => key !== '__proto__');
const flat = fc.dictionary(name, fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null)), {
  noNullPrototype: true,
});
const nested = fc.dictionary(name, fc.oneof(flat, fc.array(text, { maxLength: 3 })), {
  minKeys: 1,
  noNullPrototype: true,
});

function sessions(fields: fc.Arbitrary<object>): fc.Arbitrary<Session> {
  return fc.record(
    {
      id: text,
      userId: text,
      roles: fc.array(text, { maxLength: 3 }),
      data: fields,
      metadata: fields,
      lastLocation: flat,
      amr: fc.array(text, { maxLength: 2 }),
      actor: flat,
      lastAccess: fc.nat(),
    },
    { requiredKeys: ['id', 'userId', 'roles', 'data', 'lastAccess'] },
  ) as fc.Arbitrary<Session>;
}

/** Every object in a value, itself included. */
function objectsIn(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return [];
  return [value, ...Object.values(value).flatMap(objectsIn)];
}

describe('copies of cached sessions', () => {
  it.each([
    ['flat', sessions(flat), true, true],
    ['flat, by the copy for all', sessions(flat), true, false],
    ['nested', sessions(nested), false, false],
  ])('a %s session: equal, and without a common object', (_, arbitrary, expected, asFlat) => {
    fc.assert(
      fc.property(arbitrary, (session) => {
        expect(isFlat(session)).toBe(expected);
        const made = copyOfSession(session, asFlat);
        expect(made).toEqual(session);
        expect(Object.keys(made)).toEqual(Object.keys(session));
        const own = new Set(objectsIn(session));
        expect(objectsIn(made).filter((object) => own.has(object))).toEqual([]);
      }),
    );
  });

  it.each<[string, unknown]>([
    ['a date', { at: new Date(0) }],
    ['a class of the application', new (class Basket {})()],
    ['a list', ['a']],
    ['a text', 'a'],
    ['nothing', null],
  ])('data that is or has %s is not flat', (_, data) => {
    // A store of a user's own may return anything, whatever its types say.
    expect(isFlat({ data } as unknown as Session)).toBe(false);
  });
});
