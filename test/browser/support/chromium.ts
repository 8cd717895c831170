import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { findChromium } from '../../../scripts/chromium.mjs';

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'];

const executablePath = findChromium();

/** Left out with SKIP_BROWSER=1 alone, for machines that cannot have a Chromium; without one these tests fail. */
export const describeInChromium = process.env['SKIP_BROWSER'] === '1' ? describe.skip : describe;

export const PHONE: BrowserContextOptions = {
  viewport: { width: 360, height: 740 },
  userAgent:
    'Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36',
  hasTouch: true,
  isMobile: true,
};

export const LAPTOP: BrowserContextOptions = {
  viewport: { width: 1280, height: 900 },
  userAgent:
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
};

/** A Chromium, and the devices that run in it: each context has cookies of its own. */
export class Devices {
  /** What a page complained of: scripts and requests that its policy refused, and errors that nobody caught. */
  readonly complaints: string[] = [];
  private constructor(private readonly browser: Browser) {}

  static async start(): Promise<Devices> {
    if (executablePath === undefined)
      throw new Error(
        'There is no Chromium. Run `npm test`, which installs it as root on Debian, or set TEST_CHROMIUM.',
      );
    return new Devices(await chromium.launch({ executablePath, args: FLAGS }));
  }

  async open(url: string, settings: BrowserContextOptions = LAPTOP): Promise<Page> {
    const context: BrowserContext = await this.browser.newContext(settings);
    context.setDefaultTimeout(30_000);
    const page = await context.newPage();
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      // A refused request is reported as an error too; those are what the tests are about.
      if (/Content Security Policy|TrustedHTML|TrustedScript/i.test(message.text()))
        this.complaints.push(message.text());
    });
    await page.goto(url);
    return page;
  }

  async closeAll(): Promise<void> {
    for (const context of this.browser.contexts()) await context.close();
  }

  async stop(): Promise<void> {
    await this.browser.close();
  }
}

export async function signIn(page: Page, email = 'user@example.com', password = 'user-password-1'): Promise<void> {
  const form = page.locator('#sign-in');
  await form.getByLabel('E-mail address').fill(email);
  await form.getByLabel('Password').fill(password);
  await form.getByRole('button', { name: 'Sign in' }).click();
}

export async function signedIn(page: Page, email?: string, password?: string): Promise<void> {
  await signIn(page, email, password);
  await page.getByRole('heading', { name: 'Where you’re signed in' }).waitFor();
}
