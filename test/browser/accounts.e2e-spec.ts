import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { jest } from '@jest/globals';
import type { Page } from 'playwright-core';
import { Sample } from '../e2e/support/sample.js';
import { describeInChromium, Devices, PHONE, signedIn, signIn } from './support/chromium.js';

jest.setTimeout(180_000);

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

async function findings(page: Page): Promise<unknown[]> {
  await page.evaluate('Promise.all(document.getAnimations().map(({ finished }) => finished))');
  await page.evaluate(axe);
  return page.evaluate<unknown[]>(
    'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => `${id} ${nodes.map(({ target }) => target)}`))',
  );
}

describeInChromium('several accounts on the page', () => {
  let devices: Devices;
  let sample: Sample;

  beforeAll(async () => {
    devices = await Devices.start();
  });
  beforeEach(async () => {
    sample = await Sample.start();
  });
  afterEach(async () => {
    await devices.closeAll();
    await sample.close();
    expect(devices.complaints.splice(0)).toEqual([]);
  });
  afterAll(() => devices.stop());

  const inUse = (page: Page, email: string) => page.locator('#who-email', { hasText: email }).waitFor();

  it('adds one and switches by keyboard alone, in all tabs', async () => {
    const page = await devices.open(sample.url);
    await signedIn(page);
    const second = await page.context().newPage();
    await second.goto(sample.url);
    await inUse(second, 'user@example.com');
    await page.bringToFront();
    await page.locator('#add-account').focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Add an account' }).waitFor();
    await page.locator('[name=email]:focus').waitFor();
    await page.keyboard.type('admin@example.com');
    await page.keyboard.press('Tab');
    await page.keyboard.type('admin-password-1');
    await page.keyboard.press('Enter');
    await inUse(page, 'admin@example.com');
    await inUse(second, 'admin@example.com');
    await page.getByRole('button', { name: 'Switch to user@example.com' }).focus();
    await page.keyboard.press('Enter');
    await page.locator('#accounts-title:focus').waitFor();
    await inUse(page, 'user@example.com');
    await inUse(second, 'user@example.com');
    expect(await page.locator('#admin').isVisible()).toBe(false);
    await page.getByText('You now use user@example.com.').waitFor();
    // The heading has the focus: the next stops are the buttons of the other account.
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByText('Signed out of admin@example.com.').waitFor();
    await page.locator('#accounts > li').nth(1).waitFor({ state: 'detached' });
    expect(await page.locator('#accounts > li').count()).toBe(1);
    await page.getByRole('banner').getByRole('button', { name: 'Sign out', exact: true }).waitFor();
  });

  it.each([
    { colorScheme: 'light' as const, device: {} },
    { colorScheme: 'dark' as const, device: PHONE },
  ])('gives axe nothing to find, and fits a phone, $colorScheme', async ({ colorScheme, device }) => {
    const page = await devices.open(sample.url, { ...device, colorScheme });
    await signedIn(page);
    await page.getByRole('button', { name: 'Add another account' }).click();
    await page.getByRole('heading', { name: 'Add an account' }).waitFor();
    expect(await findings(page)).toEqual([]);
    await signIn(page, 'admin@example.com', 'admin-password-1');
    await page.getByRole('button', { name: 'Switch to user@example.com' }).waitFor();
    expect(await findings(page)).toEqual([]);
    expect(await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')).toBe(0);
  });

  it('goes back from an account that waits for its code, and lists parked ones when the one in use has ended', async () => {
    const page = await devices.open(sample.url);
    await signedIn(page);
    await page.getByRole('button', { name: 'Add another account' }).click();
    await page.getByRole('button', { name: 'Back to your account' }).click();
    await page.getByRole('heading', { name: 'Where you’re signed in' }).waitFor();
    await page.getByRole('button', { name: 'Add another account' }).click();
    await signIn(page, 'factor@example.com', 'factor-password-1');
    await page.getByText('the code is').waitFor();
    await page.getByRole('button', { name: 'Use another account' }).click();
    await page.getByText('You now use user@example.com.').waitFor();
    await page.getByRole('button', { name: 'Add another account' }).click();
    await signIn(page, 'admin@example.com', 'admin-password-1');
    await inUse(page, 'admin@example.com');

    const admin = sample.browser();
    await admin.signedIn({ email: 'admin@example.com', password: 'admin-password-1' });
    await admin.post('/auth/logout-others');
    const parked = page.locator('#parked');
    await parked.getByText('user@example.com').waitFor();
    expect(await findings(page)).toEqual([]);
    await parked.getByRole('button', { name: 'Switch to user@example.com' }).click();
    await inUse(page, 'user@example.com');
    await page.getByRole('heading', { name: 'Where you’re signed in' }).waitFor();
  });
});
