import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { jest } from '@jest/globals';
import { SessionEvents, SessionService, SessionStore, SessionStreams } from 'nestjs-sessions';
import type { Page } from 'playwright-core';
import { ADAPTERS, Sample, SECRET } from '../e2e/support/sample.js';
import { describeInChromium, Devices, LAPTOP, PHONE, signedIn, signIn } from './support/chromium.js';

// A machine that runs everything else beside is slow with browsers.
jest.setTimeout(180_000);

describeInChromium('the page in Chromium', () => {
  let devices: Devices;
  let sample: Sample;

  beforeAll(async () => {
    devices = await Devices.start();
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await devices.closeAll();
    await sample.close();
    expect(devices.complaints.splice(0)).toEqual([]);
  });
  afterAll(() => devices.stop());

  /** Resolves once as many pages are told of what happens. */
  const followed = async (pages: number): Promise<void> => {
    const deadline = Date.now() + 15_000;
    while (sample.get(SessionStreams).size < pages) {
      if (Date.now() > deadline) throw new Error('the page does not follow its events');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };

  const notice = (page: Page) => page.locator('#notice:not([hidden])');

  it.each(ADAPTERS)('signs a phone out from a laptop, and the phone says so at once, on %s', async (adapter) => {
    sample = await Sample.start({ adapter });
    const laptop = await devices.open(sample.url);
    const phone = await devices.open(sample.url, PHONE);
    await signedIn(laptop);
    const took: number[] = [];
    // A machine that is busy otherwise may stall for a second: one of three has to be quick.
    while (took.length < 3 && !took.some((ms) => ms < 1_000)) {
      await signedIn(phone);
      await followed(2);
      await laptop.reload();
      const row = laptop.getByRole('listitem').filter({ hasText: 'Android' });
      await row.getByText('Active now').waitFor();
      const ended = laptop.waitForResponse((response) => response.request().method() === 'DELETE');
      await row.getByRole('button', { name: /^Sign out/ }).click();
      const started = (await ended).status() === 204 ? performance.now() : NaN;
      await notice(phone).getByText('signed out from another device').waitFor();
      took.push(performance.now() - started);
      expect(await phone.getByRole('button', { name: 'Sign in', exact: true }).isVisible()).toBe(true);
      await laptop.getByText('Signed out Chrome on Android.').waitFor();
    }
    expect(Math.min(...took)).toBeLessThan(1_000);
    expect(await laptop.locator('#devices > li').count()).toBe(1);
  });

  it('tells the evicted device that the limit was reached', async () => {
    sample = await Sample.start();
    const page = await devices.open(sample.url);
    await signedIn(page);
    await followed(1);
    for (let device = 0; device < 5; device += 1) await sample.browser().signedIn();
    await notice(page).getByText('reached the limit of devices').waitFor();
  });

  it('says that a device protects its session as soon as the browser has bound it', async () => {
    sample = await Sample.start({ env: { DEVICE_BOUND: '1' } });
    const page = await devices.open(sample.url);
    await signedIn(page);
    await followed(1);
    expect(await page.getByText('Protected by this device').count()).toBe(0);
    // As registration would: browsers register over https alone, which this sample does not speak.
    const me = (await page.evaluate(async () => (await fetch('/me')).json())) as { id: string };
    const [session] = await sample.get(SessionService).list(me.id);
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const store = sample.get(SessionStore);
    await store.bindDevice(session?.id ?? '', {
      key: {
        algorithm: 'ES256',
        thumbprint: 'A'.repeat(43),
        publicKey: publicKey.export({ format: 'der', type: 'spki' }).toString('base64url'),
      },
      challengedAt: store.now(),
    });
    await page.getByText('Protected by this device').waitFor();
  });

  it('tells every tab of the browser', async () => {
    sample = await Sample.start();
    const page = await devices.open(sample.url);
    const second = await page.context().newPage();
    await second.goto(sample.url);
    await signedIn(page);
    // The other tab is signed in too, and one of the two follows the events.
    await second.getByRole('heading', { name: 'Where you’re signed in' }).waitFor();
    await followed(1);
    expect(sample.get(SessionStreams).size).toBe(1);
    await page.getByRole('button', { name: 'Sign out everywhere' }).click();
    await notice(second).getByText('You are signed out.').waitFor();
    await notice(page).getByText('You are signed out.').waitFor();
  });

  it('asks for the password where a fresh proof is needed, and goes on', async () => {
    const { now } = Date;
    let later = 0;
    jest.spyOn(Date, 'now').mockImplementation(() => now() + later);
    sample = await Sample.start();
    const page = await devices.open(sample.url);
    await signedIn(page);
    await sample.browser().signedIn();
    await page.reload();
    await page.locator('#devices > li').nth(1).waitFor();
    later = 6 * 60_000;
    await page.getByRole('button', { name: 'Sign out all other devices' }).click();
    const dialog = page.getByRole('dialog', { name: 'Confirm it’s you' });
    await dialog.getByLabel('Password').fill('wrong');
    await page.keyboard.press('Enter');
    await dialog.getByText('E-mail address or password is wrong.').waitFor();
    await dialog.getByLabel('Password').fill('user-password-1');
    await page.keyboard.press('Enter');
    await page.getByText('Signed out one other device.').waitFor();
    expect(await page.locator('#devices > li').count()).toBe(1);
  });

  it('lets a user with two-step verification in only with the code', async () => {
    sample = await Sample.start();
    const page = await devices.open(sample.url);
    await signIn(page, 'factor@example.com', 'factor-password-1');
    const hint = page.getByText(/the code is \d{6}/);
    await hint.waitFor();
    const code = /\d{6}/.exec((await hint.textContent()) ?? '')?.[0] ?? '';
    await page.getByLabel('Code of your authenticator app').fill(code === '000000' ? '000001' : '000000');
    await page.keyboard.press('Enter');
    await page.getByText('The code is wrong').waitFor();
    // Somebody who comes back to the page is asked again.
    await page.reload();
    await page.getByLabel('Code of your authenticator app').fill(code);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Where you’re signed in' }).waitFor();
    expect(await page.locator('#who-email').textContent()).toBe('factor@example.com');
  });

  it('lets an administrator find a user, end a session, act as them and return', async () => {
    sample = await Sample.start();
    const user = sample.browser();
    await user.signedIn();
    const page = await devices.open(sample.url);
    await signedIn(page, 'admin@example.com', 'admin-password-1');
    await page.getByLabel('Find a user').fill('user@');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Sessions of user@example.com' }).click();
    await page.locator('#user-sessions li').getByRole('button').click();
    await page.getByText('Not signed in anywhere.').waitFor();
    expect((await user.get('/me')).body.code).toBe('session_revoked');

    await page.getByRole('button', { name: 'Act as user@example.com' }).click();
    await page.getByText('You are acting as user@example.com.').waitFor();
    expect(await page.locator('#admin').isVisible()).toBe(false);
    await page.getByRole('button', { name: 'Return to your account' }).click();
    await page.locator('#admin').waitFor();
    expect(await page.locator('#who-email').textContent()).toBe('admin@example.com');
  });

  it('7.4.4, 14.3.1: has a button to sign out in view, and keeps nothing of the session after it', async () => {
    sample = await Sample.start();
    const page = await devices.open(sample.url);
    await signedIn(page, 'admin@example.com', 'admin-password-1');
    const signOut = page.getByRole('banner').getByRole('button', { name: 'Sign out', exact: true });
    expect(await signOut.isVisible()).toBe(true);
    expect(await page.locator('#devices > li').count()).toBe(1);
    await page.getByLabel('Find a user').fill('user@');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Sessions of user@example.com' }).waitFor();
    await signOut.click();
    await page.getByRole('button', { name: 'Sign in', exact: true }).waitFor();
    for (const list of ['#devices', '#activity', '#users', '#user-sessions'])
      expect([list, await page.locator(list).innerHTML()]).toEqual([list, '']);
    expect(await page.locator('#who-email').textContent()).toBe('');
    expect(await page.evaluate('[localStorage.length, sessionStorage.length]')).toEqual([0, 0]);
    expect((await page.context().cookies()).map(({ name }) => name).filter((name) => name.includes('session'))).toEqual(
      [],
    );
  });

  it('fits a phone: nothing is wider than the screen', async () => {
    sample = await Sample.start();
    const page = await devices.open(sample.url, PHONE);
    const overflow = (): Promise<number> =>
      page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    await page.getByLabel('E-mail address').waitFor();
    expect(await overflow()).toBe(0);
    await sample.browser().signedIn(undefined, { deviceName: 'a name '.repeat(18).trim() });
    await signedIn(page, 'admin@example.com', 'admin-password-1');
    await page.getByLabel('Find a user').fill('example');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Sessions of user@example.com' }).click();
    await page.locator('#user-sessions li').waitFor();
    expect(await overflow()).toBe(0);
  });

  let elsewhere: Server;

  beforeAll(async () => {
    elsewhere = createServer((_, response) => {
      response.setHeader('content-type', 'text/html');
      response.end('<!doctype html><title>elsewhere</title>');
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => void elsewhere.close());

  const sessionCookie = async (page: Page) =>
    (await page.context().cookies()).find(({ name }) => name.endsWith('session'));

  it('keeps the cookie out of scripts’ reach, for this host alone and until the browser closes', async () => {
    sample = await Sample.start();
    const page = await devices.open(sample.url);
    await signedIn(page);
    expect(await sessionCookie(page)).toMatchObject({
      name: 'session',
      domain: '127.0.0.1',
      path: '/',
      expires: -1,
      httpOnly: true,
      secure: false,
      sameSite: 'Lax',
    });
    expect(await page.evaluate('document.cookie')).toBe('');
    const kept = await page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }])');
    expect(kept).toBe('[{},{}]');
  });

  it('remembers who asked for it, for thirty days', async () => {
    sample = await Sample.start();
    const page = await devices.open(sample.url);
    await page.getByLabel('Remember me on this device').check();
    await signedIn(page);
    const { expires = 0 } = (await sessionCookie(page)) ?? {};
    const days = (expires * 1000 - Date.now()) / 86_400_000;
    expect(Math.round(days)).toBe(30);
    await page.getByText('Remembered').waitFor();
  });

  it('takes the cookie of production, with __Host- and Secure', async () => {
    sample = await Sample.start({ env: { NODE_ENV: 'production', SESSION_SECRET: SECRET, DEMO_USERS: '1' } });
    const page = await devices.open(sample.url);
    await signedIn(page);
    expect(await sessionCookie(page)).toMatchObject({
      name: '__Host-session',
      secure: true,
      httpOnly: true,
      path: '/',
    });
  });

  it('sends requests of other origins, which the server refuses', async () => {
    sample = await Sample.start();
    const page = await devices.open(sample.url);
    await signedIn(page);
    const { port } = elsewhere.address() as AddressInfo;
    const attacker = await page.context().newPage();
    const refused: string[] = [];
    const listening = sample.get(SessionEvents).on('request-refused', ({ code }) => refused.push(code));
    // Another origin of the same site, so that the cookie goes along.
    await attacker.goto(`http://127.0.0.1:${port}/`);
    const send = (path: string): Promise<string> =>
      attacker.evaluate(
        (target) =>
          fetch(target, { method: 'POST', mode: 'no-cors', credentials: 'include' }).then(
            () => 'an answer',
            () => 'none',
          ),
        sample.url + path,
      );
    // The answer itself is kept from the other origin, too.
    expect([await send('/auth/logout'), await send('/auth/logout-all')]).toEqual(['none', 'none']);
    expect(refused).toEqual(['csrf_rejected', 'csrf_rejected']);
    listening();
    expect(await page.evaluate(async () => (await fetch('/me')).status)).toBe(200);
  });

  it('lets twenty tabs that need an access token at once make one refresh', async () => {
    sample = await Sample.start({
      options: (options) => ({
        ...options,
        ...(options.jwt && { jwt: { ...options.jwt, refreshCookie: { path: '/auth/refresh' } } }),
      }),
    });
    // The policy of a JSON answer lets no script run, and a page with a client of its own would disturb.
    const first = await devices.open(`${sample.url}/health`, { ...LAPTOP, bypassCSP: true });
    const context = first.context();
    expect(
      await first.evaluate(
        async (body) => {
          const headers = { 'content-type': 'application/json' };
          return (await fetch('/auth/login', { method: 'POST', headers, body })).status;
        },
        JSON.stringify({ email: 'user@example.com', password: 'user-password-1' }),
      ),
    ).toBe(200);
    // Without the session cookie, the access token is what lets in.
    await context.clearCookies({ name: 'session' });
    // Opened by the first, they share its process, which is much cheaper.
    const tabs = [first];
    while (tabs.length < 20) {
      const opened = context.waitForEvent('page');
      await first.evaluate("void open('/health')");
      tabs.push(await opened);
    }
    const refreshes: string[] = [];
    context.on('request', (request) => {
      if (request.url().endsWith('/auth/refresh')) refreshes.push(request.method());
    });
    for (const tab of tabs) {
      await tab.waitForLoadState();
      await tab.evaluate(
        `import('/client/index.js').then(({ SessionClient }) => {
          globalThis.client = new SessionClient({ refreshUrl: '/auth/refresh' });
        })`,
      );
    }
    const statuses = await Promise.all(
      tabs.map((tab) => tab.evaluate("client.fetch('/me').then(({ status }) => status)")),
    );
    expect(statuses).toEqual(Array(20).fill(200));
    expect(refreshes).toEqual(['POST']);
  });
});
