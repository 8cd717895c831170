import { canonicalIp, keptIp, networkOf } from '../../src/model/ip.js';

describe('addresses', () => {
  it.each([
    ['1.2.3.4', '1.2.3.4', '1.2.3.4'],
    ['::ffff:1.2.3.4', '1.2.3.4', '1.2.3.4'],
    ['::FFFF:102:304', '1.2.3.4', '1.2.3.4'],
    ['2001:db8::1', '2001:db8::1', '2001:db8::'],
    ['2001:0DB8:0:0:0:0:0:1', '2001:db8::1', '2001:db8::'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2:3:4:5:6', '2001:db8:1:2::'],
    ['fe80::1%eth0', 'fe80::1', 'fe80::'],
    ['::1', '::1', '::'],
  ])('%s is %s of the network %s (CVE-2026-45364)', (text, address, network) => {
    expect(canonicalIp(text)).toBe(address);
    expect(networkOf(text)).toBe(network);
  });

  it.each([
    '',
    'localhost',
    '1.2.3',
    '127.1',
    '0x7f.0.0.1',
    '017.0.0.1',
    '1.2.3.4.5',
    '256.1.1.1',
    '1.2.3.4:80',
    '[::1]',
    '1.2.3.4, 5.6.7.8',
    '::g',
    '1.2.3.4\r\nX: y',
    '*',
    '%',
    'x'.repeat(10_000),
    undefined,
    null,
    16909060,
    {},
    ['1.2.3.4'],
  ])('%j is none', (text) => {
    expect([canonicalIp(text), networkOf(text), keptIp(text, 'full')]).toEqual([null, null, undefined]);
  });

  it.each([
    ['1.2.3.4', '1.2.3.4', '1.2.3.0'],
    ['::ffff:1.2.3.4', '1.2.3.4', '1.2.3.0'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2:3:4:5:6', '2001:db8:1::'],
  ])('of %s is kept %s, %s truncated, and nothing under none', (text, full, truncated) => {
    expect([keptIp(text, 'full'), keptIp(text, 'truncated'), keptIp(text, 'none')]).toEqual([
      full,
      truncated,
      undefined,
    ]);
    // What was truncated stays so.
    expect(keptIp(truncated, 'truncated')).toBe(truncated);
  });
});
