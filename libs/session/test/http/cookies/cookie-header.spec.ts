import { parseCookie } from 'cookie';
import fc from 'fast-check';
import { TokenCookie } from '../../../src/http/cookies/token-cookie.js';
import { exchangeOfRequest } from '../../../src/http/exchange/http-exchange.js';

const reader = new TokenCookie({
  name: 'session',
  secure: true,
  sameSite: 'lax',
  path: '/',
  domain: undefined,
  partitioned: false,
  former: [],
});

const piece = fc.constantFrom('session', 'sessio', 'session2', 'Session', '=', '==', ' ', '\t', '"', 'a', '%3D', ',');
const pair = fc
  .tuple(
    fc.constantFrom('', ' ', '\t '),
    fc.constantFrom('session', 'session=', 'other='),
    fc.array(piece, { maxLength: 8 }),
  )
  .map(([blanks, start, pieces]) => blanks + start + pieces.join(''));
const header = fc.array(pair, { maxLength: 5 }).map((pairs) => pairs.join(';'));

describe('the values of a cookie in a header', () => {
  it('are those that the library cookie finds in each pair', () => {
    let found = 0;
    fc.assert(
      fc.property(header, (text) => {
        const each = text.split(';').flatMap((one) => parseCookie(one, { decode: (value) => value })['session'] ?? []);
        found += each.length;
        expect(reader.readAll(exchangeOfRequest({ headers: { cookie: text } }))).toEqual([...new Set(each)]);
      }),
      { numRuns: 5_000 },
    );
    // Otherwise the headers would have no such cookie, and the comparison would say nothing.
    expect(found).toBeGreaterThan(500);
  });
});
