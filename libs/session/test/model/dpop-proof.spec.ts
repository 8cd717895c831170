import { accessTokenHash, DPOP_ALGORITHMS, isTargetOf, readDpopProof } from '../../src/model/dpop-proof.js';

/** The key of the examples of RFC 9449: figures 4 and 14. */
const HEADER =
  'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19';
/** Figures 8 and 9. */
const THUMBPRINT = '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I';

const EXAMPLES = [
  [
    'figure 2, at the token endpoint',
    'eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg',
    { jti: '-BwC3ESc6acc2lTc', htm: 'POST', htu: 'https://server.example.com/token', iat: 1562262616 },
  ],
  [
    'figure 7, for a refresh',
    'eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjY1Mjk2fQ.pAqut2IRDm_De6PR93SYmGBPXpwrAk90e8cP2hjiaG5QsGSuKDYW7_X620BxqhvYC8ynrrvZLTk41mSRroapUA',
    { jti: '-BwC3ESc6acc2lTc', htm: 'POST', htu: 'https://server.example.com/token', iat: 1562265296 },
  ],
  [
    'figure 13, with an access token',
    'eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA',
    {
      jti: 'e1j3V_bKic8-LAEB',
      htm: 'GET',
      htu: 'https://resource.example.org/protectedresource',
      iat: 1562262618,
      ath: accessTokenHash('Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU'),
    },
  ],
] as const;

describe('the examples of RFC 9449', () => {
  it.each(EXAMPLES)('%s: the signature holds, and the thumbprint is that of the RFC', (_name, rest, claims) => {
    expect(readDpopProof(`${HEADER}.${rest}`, DPOP_ALGORITHMS)).toEqual({ ...claims, thumbprint: THUMBPRINT });
  });

  it.each(EXAMPLES)('%s: not with one character changed', (_name, rest) => {
    const [payload = '', signature = ''] = rest.split('.');
    for (const changed of [
      `${HEADER}.${payload}.${signature.startsWith('2') ? '3' : '2'}${signature.slice(1)}`,
      `${HEADER}.${payload.replace('I', 'J')}.${signature}`,
    ])
      expect(readDpopProof(changed, DPOP_ALGORITHMS)).toEqual({ fault: expect.any(String) });
  });

  it('figure 14: ath', () => {
    expect(accessTokenHash('Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU')).toBe(
      'fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo',
    );
  });
});

describe('htu', () => {
  it.each([
    ['https://api.example/a/b', 'https://api.example', '/a/b'],
    ['https://api.example/a/b?c=d#e', 'https://api.example', '/a/b'],
    ['HTTPS://API.Example:443/a', 'https://api.example', '/a'],
    ['https://api.example/a', 'https://api.example:443', '/a'],
    ['http://localhost:3000/', 'http://localhost:3000', '/'],
    ['http://localhost:3000', 'http://localhost:3000', '/'],
    ['https://api.example/%7euser/%c3%bc', 'https://api.example', '/~user/%C3%BC'],
    ['https://api.example/ü', 'https://api.example', '/%c3%bc'],
    ['https://[::1]:8443/a', 'https://[::1]:8443', '/a'],
    ['https://bücher.example/a', 'https://xn--bcher-kva.example', '/a'],
  ])('%s is the URL of a request to %s%s', (htu, origin, path) => {
    expect(isTargetOf(htu, { origin, path })).toBe(true);
  });

  it.each([
    ['https://api.example/a%2Fb', 'https://api.example', '/a/b'],
    ['https://api.example/a/', 'https://api.example', '/a'],
    ['https://api.example//a', 'https://api.example', '/a'],
    ['https://api.example/A', 'https://api.example', '/a'],
    ['https://api.example/b', 'https://api.example', '/a/../b'],
    ['https://api.example/b', 'https://api.example', '/a/%2e%2e/b'],
    ['https://api.example.evil/a', 'https://api.example', '/a'],
    ['https://api.example@evil.example/a', 'https://api.example', '/a'],
    ['https://me@api.example/a', 'https://api.example', '/a'],
    ['https://api.example\\a', 'https://api.example', '/a'],
    ['https:/api.example/a', 'https://api.example', '/a'],
    ['wss://api.example/a', 'https://api.example', '/a'],
    [' https://api.example/a', 'https://api.example', '/a'],
    ['https://api.example/a', 'not an origin', '/a'],
  ])('%s is not that of a request to %s%s', (htu, origin, path) => {
    expect(isTargetOf(htu, { origin, path })).toBe(false);
  });
});
