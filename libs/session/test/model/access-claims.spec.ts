import { areCurrent, checkedClaims, newTokenId, type ExpectedClaims } from '../../src/model/access-claims.js';

const SECOND = 1_000;
const ISSUED = 1_700_000_000;
const sid = 'A'.repeat(32);
const payload = {
  iss: 'https://issuer.example',
  sub: 'ada',
  aud: 'api',
  sid,
  jti: newTokenId(sid, ISSUED * SECOND),
  iat: ISSUED,
  exp: ISSUED + 900,
};
const expected: ExpectedClaims = {
  issuer: 'https://issuer.example',
  audience: ['api'],
  tenant: '',
  now: (ISSUED + 1) * SECOND,
};

describe('claims that were checked before', () => {
  it.each<[string, object, Partial<ExpectedClaims>]>([
    ['as they were', {}, {}],
    ['an instant before they expire', {}, { now: (ISSUED + 900) * SECOND - 1 }],
    ['once they have expired', {}, { now: (ISSUED + 900) * SECOND }],
    ['once the clock was set back', {}, { now: (ISSUED - 61) * SECOND }],
    ['for another tenant', {}, { tenant: 'acme' }],
    ['of another tenant', { tenant: 'acme' }, {}],
    ['of that tenant', { tenant: 'acme' }, { tenant: 'acme' }],
    ['that were to begin later', { nbf: ISSUED + 1 }, { now: (ISSUED + 0.5) * SECOND }],
  ])('never count where a check of all of them would refuse them: %s', (_, more, now) => {
    const whole = { ...payload, ...more };
    const claims = checkedClaims(whole, { ...expected, tenant: 'tenant' in more ? 'acme' : '' });
    if (!claims) throw new Error('the claims were good when they were checked first');
    const later = { ...expected, ...now };
    const stillGood = checkedClaims(whole, later) !== null;
    expect(areCurrent(whole, claims, later) && !stillGood).toBe(false);
    // Without `nbf` the short check decides as the long one does.
    if (!('nbf' in more)) expect(areCurrent(whole, claims, later)).toBe(stillGood);
  });
});
