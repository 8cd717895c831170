import { jest } from '@jest/globals';
import type { Page } from 'playwright-core';
import { Sample } from '../e2e/support/sample.js';
import { describeInChromium, Devices } from './support/chromium.js';

// A machine that runs everything else beside is slow with browsers.
jest.setTimeout(180_000);

describeInChromium('the API page at /docs in Chromium', () => {
  let devices: Devices;
  let sample: Sample;

  beforeAll(async () => {
    [devices, sample] = await Promise.all([Devices.start(), Sample.start()]);
  });
  afterEach(() => devices.closeAll());
  afterAll(async () => {
    await devices.stop();
    await sample.close();
  });

  /** Sends the request of an operation as a reader would; gives the status. */
  async function execute(page: Page, operation: string): Promise<number> {
    const block = page.locator(`[id$="${operation}"]`);
    if ((await block.getByRole('button', { name: 'Execute' }).count()) === 0) {
      await block.locator('.opblock-summary-control').click();
      await block.getByRole('button', { name: 'Try it out' }).click();
    }
    const answered = page.waitForResponse((response) => response.url().startsWith(sample.url));
    await block.getByRole('button', { name: 'Execute' }).click();
    const answer = await answered;
    await block.locator('.live-responses-table .response-col_status').getByText(String(answer.status())).waitFor();
    return answer.status();
  }

  it('signs in by cookie: the example of the document is a sign-in that works', async () => {
    const page = await devices.open(`${sample.url}/docs`);
    expect(await execute(page, 'MeController_me')).toBe(401);
    expect(await execute(page, 'AuthController_login')).toBe(200);
    expect(await execute(page, 'MeController_me')).toBe(200);
    expect(await execute(page, 'AuthController_logout')).toBe(204);
    expect(await execute(page, 'MeController_me')).toBe(401);
    expect(devices.complaints).toEqual([]);
  });

  it('takes a bearer token under "Authorize", and forgets it with the page', async () => {
    const { body } = await sample.browser().signIn();
    const page = await devices.open(`${sample.url}/docs`);
    await page.getByRole('button', { name: 'Authorize' }).first().click();
    const form = page.locator('.auth-container', { hasText: 'session-bearer' });
    await form.getByRole('textbox').fill(body.accessToken as string);
    await form.getByRole('button', { name: 'Apply credentials' }).click();
    await page.getByRole('button', { name: 'Close' }).last().click();
    expect(await execute(page, 'MeController_me')).toBe(200);
    expect(await page.evaluate('JSON.stringify([localStorage, sessionStorage])')).not.toContain(body.accessToken);
    await page.goto('about:blank');
    await page.goto(`${sample.url}/docs`);
    expect(await execute(page, 'MeController_me')).toBe(401);
    expect(devices.complaints).toEqual([]);
  });
});
