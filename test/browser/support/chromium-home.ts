import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type BrowserContext } from 'playwright-core';
import { findChromium } from '../../../scripts/chromium.mjs';

/** A certificate for `localhost`, and the authority that signed it. PEM. */
export interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface ChromiumSettings {
  /** Appended to our own. */
  readonly enable?: readonly string[];
  readonly disable?: readonly string[];
}

/**
 * Real Chromium with a home of its own, which trusts a certificate authority of its own: Device Bound Session Credentials do
 * nothing where a certificate error was overridden.
 */
export class ChromiumHome {
  readonly certificates: Certificates;
  private readonly folder = mkdtempSync(join(tmpdir(), 'sessions-browser-'));
  private readonly contexts: BrowserContext[] = [];

  constructor() {
    this.certificates = makeCertificates(this.folder);
    const database = `sql:${join(this.folder, '.pki/nssdb')}`;
    mkdirSync(join(this.folder, '.pki/nssdb'), { recursive: true });
    run('certutil', ['-d', database, '-N', '--empty-password']);
    run('certutil', ['-d', database, '-A', '-t', 'C,,', '-n', 'test-ca', '-i', join(this.folder, 'ca.pem')]);
  }

  /** A browser with an empty profile. */
  async launch({ enable = [], disable = [] }: ChromiumSettings = {}): Promise<BrowserContext> {
    const profile = mkdtempSync(join(this.folder, 'profile-'));
    const executablePath = findChromium();
    const context = await chromium.launchPersistentContext(profile, {
      ...(executablePath !== undefined && { executablePath }),
      ignoreDefaultArgs: true,
      env: { ...process.env, HOME: this.folder },
      args: [
        '--headless=new',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--remote-debugging-pipe',
        `--user-data-dir=${profile}`,
        '--password-store=basic',
        '--use-mock-keychain',
        ...(enable.length > 0 ? [`--enable-features=${enable.join(',')}`] : []),
        ...(disable.length > 0 ? [`--disable-features=${disable.join(',')}`] : []),
        'about:blank',
      ],
    });
    this.contexts.push(context);
    return context;
  }

  /** Ends every browser and removes what they left. */
  async close(): Promise<void> {
    await Promise.all(this.contexts.splice(0).map(async (context) => context.close()));
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

function makeCertificates(folder: string): Certificates {
  const file = (name: string): string => join(folder, name);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  run('openssl', [
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.pem'),
    '-days',
    '2',
    '-subj',
    '/CN=test-ca',
  ]);
  run('openssl', ['req', ...newKey, '-keyout', file('leaf.key'), '-out', file('leaf.csr'), '-subj', '/CN=localhost']);
  writeFileSync(file('leaf.ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n');
  run('openssl', [
    ...['x509', '-req', '-in', file('leaf.csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial'],
    ...['-out', file('leaf.pem'), '-days', '2', '-extfile', file('leaf.ext')],
  ]);
  const read = (name: string): string => readFileSync(file(name), 'utf8');
  return { ca: read('ca.pem'), cert: read('leaf.pem'), key: read('leaf.key') };
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args[0]} failed: ${error?.message ?? stderr}`);
}
