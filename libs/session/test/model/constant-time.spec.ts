import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const src = join(import.meta.dirname, '../../src');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
const text = (name: string): string => readFileSync(join(src, name), 'utf8');

/**
 * They compute a keyed digest and compare none that a client sent: a fingerprint is what the server computed from the
 * request, stored with the session.
 */
const COMPARES_NOTHING_SENT = [join('model', 'fingerprint.ts')];

describe('11.2.4: what a client sends is compared with a keyed digest in constant time', () => {
  const keyed = files.filter((name) => /\bcreateHmac\(/.test(text(name)));

  it('finds the files that compute one', () => {
    expect(keyed.length).toBeGreaterThanOrEqual(4);
  });

  it.each(keyed.filter((name) => !COMPARES_NOTHING_SENT.includes(name)))('%s', (name) => {
    const source = text(name);
    expect(source).toMatch(/\btimingSafeEqual\(/);
    // Neither the digest nor the text made of it goes through another comparison.
    expect(source).not.toMatch(/(digest|tagOf|tagsOf)\([^\n]*\)\s*(===|!==|\.equals\()/);
    expect(source).not.toMatch(/(===|!==)\s*(this\.)?(digest|tagOf|tagsOf)\(/);
    expect(source).not.toMatch(/\.equals\(|Buffer\.compare\(/);
  });
});
