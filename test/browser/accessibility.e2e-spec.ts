import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { jest } from '@jest/globals';
import type { Page } from 'playwright-core';
import { Sample } from '../e2e/support/sample.js';
import { describeInChromium, Devices, LAPTOP, PHONE, signedIn, signIn } from './support/chromium.js';

jest.setTimeout(180_000);

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Finding {
  id: string;
  nodes: { target: unknown[]; failureSummary?: string }[];
}

/** What axe-core finds, in a few words each. */
async function findings(page: Page): Promise<string[]> {
  // A fade of a dialog or a colour would be taken for its end.
  await page.evaluate('Promise.all(document.getAnimations().map(({ finished }) => finished))');
  await page.evaluate(axe);
  const found = await page.evaluate<Finding[]>('axe.run().then(({ violations }) => violations)');
  return found.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} ${target.join(' ')}: ${failureSummary ?? ''}`),
  );
}

describeInChromium('the page, for everybody', () => {
  let devices: Devices;
  let sample: Sample;

  beforeAll(async () => {
    devices = await Devices.start();
  });
  const { now } = Date;
  let later: number;

  beforeEach(async () => {
    later = 0;
    jest.spyOn(Date, 'now').mockImplementation(() => now() + later);
    sample = await Sample.start();
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await devices.closeAll();
    await sample.close();
  });
  afterAll(() => devices.stop());

  it.each([
    { colorScheme: 'light' as const, device: LAPTOP },
    { colorScheme: 'dark' as const, device: PHONE },
  ])('gives axe nothing to find in any view, $colorScheme', async ({ colorScheme, device }) => {
    const page = await devices.open(sample.url, { ...device, colorScheme });
    const views: Record<string, string[]> = {};
    await page.getByLabel('E-mail address').waitFor();
    views['sign in'] = await findings(page);
    await signIn(page, 'factor@example.com', 'factor-password-1');
    await page.getByText('the code is').waitFor();
    views['second factor'] = await findings(page);
    await page.getByRole('button', { name: 'Use another account' }).click();
    await page.getByText('You are signed out.').waitFor();
    views['signed out'] = await findings(page);

    await sample.browser().signedIn();
    await signedIn(page, 'admin@example.com', 'admin-password-1');
    await page.getByLabel('Find a user').fill('user@');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Sessions of user@example.com' }).click();
    await page.locator('#user-sessions li').waitFor();
    views['account and administration'] = await findings(page);

    later = 6 * 60_000;
    await page.getByRole('button', { name: 'Act as user@example.com' }).click();
    await page.getByRole('dialog').getByLabel('Password').fill('admin-password-1');
    views['proof'] = await findings(page);
    await page.keyboard.press('Enter');
    await page.getByText('You are acting as').waitFor();
    views['acting as another user'] = await findings(page);
    expect(Object.values(views).flat()).toEqual([]);
    expect(Object.keys(views)).toHaveLength(6);
  });

  it('works by keyboard alone', async () => {
    const page = await devices.open(sample.url);
    await page.locator('[name=email]:focus').waitFor();
    await page.keyboard.type('user@example.com');
    await page.keyboard.press('Tab');
    await page.keyboard.type('user-password-1');
    await page.keyboard.press('Enter');
    // The heading has the focus, so that a screen reader goes on where the page changed.
    await page.locator('#devices-title:focus').waitFor();
    await page.keyboard.press('Tab');
    await page.locator('#devices button:focus').waitFor();
    await page.keyboard.press('Enter');
    await page.locator('#notice:focus').waitFor();
    expect(await page.locator('#notice').textContent()).toBe('You are signed out.');
  });
});
