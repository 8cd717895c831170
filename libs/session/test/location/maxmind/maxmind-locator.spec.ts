import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { maxmindLocator } from '../../../src/location/maxmind/index.js';
import { AccountController } from '../../support/account.controller.js';
import { closeApps, PLATFORMS, startApp } from '../../support/app.js';
import { mmdbOf } from './support/mmdb.js';

const country = (iso_code: string) => ({ iso_code, names: { en: iso_code } });

const DATABASE = mmdbOf({
  '203.0.113.0/24': { country: country('AT'), city: { names: { en: 'Vienna', de: 'Wien' } } },
  '198.51.100.0/25': { country: country('DE') },
  '198.51.100.128/25': { registered_country: country('CH') },
  '192.0.2.0/24': { location: { accuracy_radius: 5 } },
  '2001:db8::/32': { country: country('FR'), city: { names: { en: 'Lyon' } } },
});

let folder: string;
let file: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sessions-mmdb-'));
  file = join(folder, 'city.mmdb');
  writeFileSync(file, DATABASE);
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(closeApps);

describe('maxmindLocator', () => {
  it.each([
    ['203.0.113.9', { country: 'AT', city: 'Vienna' }],
    ['203.0.114.9', null],
    ['198.51.100.9', { country: 'DE' }],
    ['198.51.100.200', { country: 'CH' }],
    ['192.0.2.1', null],
    ['2001:db8::1', { country: 'FR', city: 'Lyon' }],
    ['2001:db9::1', null],
    ['127.0.0.1', null],
  ])('%s is in %j', async (ip, expected) => {
    expect(await maxmindLocator(file, { watch: false })(ip)).toEqual(expected);
  });

  it('speaks the language that was asked for, where the database does', async () => {
    const locate = maxmindLocator(file, { language: 'de', watch: false });
    expect(await locate('203.0.113.9')).toEqual({ country: 'AT', city: 'Wien' });
    expect(await locate('2001:db8::1')).toEqual({ country: 'FR', city: 'Lyon' });
  });

  it('asks for a file that is not there again, and finds it once it is', async () => {
    const later = join(folder, 'later.mmdb');
    const locate = maxmindLocator(later, { watch: false });
    await expect(locate('203.0.113.9')).rejects.toThrow();
    await expect(locate('203.0.113.9')).rejects.toThrow();
    writeFileSync(later, DATABASE);
    expect(await locate('203.0.113.9')).toEqual({ country: 'AT', city: 'Vienna' });
  });

  it('refuses a file that is no database', async () => {
    const wrong = join(folder, 'wrong.mmdb');
    writeFileSync(wrong, 'not a database');
    await expect(maxmindLocator(wrong, { watch: false })('203.0.113.9')).rejects.toThrow();
  });

  it.each(PLATFORMS)('tells where a session was started, on %s', async (platform) => {
    const session = { locate: maxmindLocator(file, { watch: false }) };
    const app = await startApp({ platform, controllers: [AccountController], session, trustProxy: true });
    const signIn = async (ip: string) =>
      (await app.browser().post('/login', { userId: 'ann' }, { 'x-forwarded-for': ip })).body.session.lastLocation;
    expect(await signIn('203.0.113.9')).toEqual({ ip: '203.0.113.9', country: 'AT', city: 'Vienna' });
    expect(await signIn('::ffff:203.0.113.9')).toEqual({ ip: '203.0.113.9', country: 'AT', city: 'Vienna' });
    expect(await signIn('192.168.1.1')).toBeUndefined();
  });

  it('without a database nobody waits and nobody is kept out', async () => {
    const session = { locate: maxmindLocator(join(folder, 'never.mmdb')) };
    const app = await startApp({ platform: 'express', controllers: [AccountController], session });
    expect((await app.browser().post('/login', { userId: 'ann' })).status).toBe(200);
  });
});
