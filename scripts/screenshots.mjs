// node scripts/screenshots.mjs: retakes the pictures in docs/images from the built sample (npm run build before).
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { findChromium } from './chromium.mjs';
import { freePort } from './redis-process.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'docs/images');
const port = await freePort();
const url = `http://localhost:${port}/`;
const { REDIS_URL: _redis, NODE_ENV: _env, ...env } = process.env;
const app = spawn(process.execPath, ['dist/main.js'], {
  cwd: root,
  env: { ...env, PORT: String(port), LOG_LEVEL: 'off' },
  stdio: 'inherit',
});
process.once('exit', () => app.kill());

const CHROME = 'AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0';
const WINDOWS = `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${CHROME} Safari/537.36`;
const ANDROID = `Mozilla/5.0 (Linux; Android 15; Pixel 9) ${CHROME} Mobile Safari/537.36`;
const MAC =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15';

await waitFor(`${url}health`);
mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: findChromium(),
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
});
try {
  await open(MAC);
  const phone = await open(ANDROID, {
    viewport: { width: 390, height: 760 },
    colorScheme: 'dark',
    isMobile: true,
    hasTouch: true,
    deviceScaleFactor: 1.5,
  });
  const laptop = await open(WINDOWS, { viewport: { width: 860, height: 760 } });
  await laptop.screenshot({ path: join(folder, 'devices.png') });
  await phone.reload();
  await phone.locator('#devices > li').nth(2).waitFor();
  await phone.screenshot({ path: join(folder, 'devices-phone-dark.png') });
  const row = laptop.getByRole('listitem').filter({ hasText: 'Android' });
  await row.getByRole('button', { name: /^Sign out/ }).click();
  await phone.getByText('signed out from another device').waitFor();
  await phone.screenshot({ path: join(folder, 'signed-out-phone-dark.png') });
} finally {
  await browser.close();
  app.kill();
}

/**
 * @param {string} userAgent
 * @param {import('playwright-core').BrowserContextOptions} [settings]
 */
async function open(userAgent, settings = {}) {
  const context = await browser.newContext({ userAgent, ...settings });
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  await page.goto(url);
  await page.locator('#sign-in [name=email]').fill('user@example.com');
  await page.locator('#sign-in [name=password]').fill('user-password-1');
  await page.locator('#sign-in [type=submit]').click();
  await page.locator('#devices > li').first().waitFor();
  return page;
}

/** @param {string} address */
async function waitFor(address) {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    if (await fetch(address).catch(() => undefined)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the sample does not start: run "npm run build" before');
}
