import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { HTTP_STATUS } from 'nestjs-sessions';
import ts from 'typescript';
import { freePort } from '../../scripts/redis-process.mjs';
import { newBrowser, Sample } from '../e2e/support/sample.js';
import { compilerOptions, complaintsAbout } from './support/compiler.js';
import { codeBlocks, plain, readDocument, root, tableUnder } from './support/markdown.js';

const README = readDocument('README.md');
const blocks = codeBlocks(README).filter(({ info }) => info === 'ts');

describe('the README', () => {
  it('is also that of the package (cp README.md libs/session/README.md)', () => {
    expect(readDocument('libs/session/README.md')).toBe(README);
  });

  it('has code blocks that compile against the built package', () => {
    expect(blocks.length).toBeGreaterThan(3);
    expect(complaintsAbout(blocks)).toEqual([]);
  }, 60_000);

  it('would not compile whatever it said', () => {
    const [wrong] = complaintsAbout([
      {
        line: 1,
        code: "import { SessionModule } from 'nestjs-sessions';\nSessionModule.forRoot({ session: { idleTimout: 5 } });\n",
      },
    ]);
    expect(wrong).toContain('idleTimout');
  }, 60_000);

  it('has a smallest example that works', async () => {
    const folder = mkdtempSync(join(root, '.dist-readme-'));
    const port = await freePort();
    const { outputText } = ts.transpileModule(blocks[0]?.code ?? '', {
      compilerOptions: { ...compilerOptions(), module: ts.ModuleKind.ESNext },
    });
    writeFileSync(join(folder, 'main.mjs'), outputText);
    const app = spawn(process.execPath, [join(folder, 'main.mjs')], {
      cwd: root,
      env: { PATH: process.env['PATH'], PORT: String(port) },
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => app.once('exit', resolve));
    try {
      const browser = newBrowser(`http://127.0.0.1:${port}`);
      const deadline = Date.now() + 15_000;
      while (!(await browser.get('/me').catch(() => undefined))) {
        if (Date.now() > deadline) throw new Error('the example does not listen');
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      expect((await browser.get('/me')).status).toBe(401);
      expect((await browser.post('/login', { name: 'ada', password: 'byron' })).status).toBe(401);
      expect((await browser.post('/login', { name: 'ada', password: 'lovelace' })).status).toBe(201);
      expect((await browser.get('/me')).body).toEqual({ id: 'u-1', email: 'ada@example.com', roles: ['user'] });
      const copy = browser.copy();
      await browser.post('/logout');
      expect((await copy.get('/me')).status).toBe(401);
    } finally {
      app.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true });
    }
  }, 60_000);

  it('has a walkthrough that shows what it promises', async () => {
    const script = codeBlocks(README).find(({ info }) => info === 'sh walkthrough')?.code ?? '';
    expect(script).toContain('curl');
    if (spawnSync('curl', ['--version']).status !== 0) return; // A machine without curl has its reader type nothing.
    const sample = await Sample.start();
    const jars = mkdtempSync(join(tmpdir(), 'readme-jars-'));
    try {
      const here = script.replaceAll('http://localhost:3000', sample.url);
      const { stdout } = await promisify(execFile)('bash', ['-ec', here], { cwd: jars });
      expect(stdout.match(/"accessToken"/g)).toHaveLength(2);
      // Each of the two lists names both devices.
      expect(stdout.match(/\[\{[^\]]*"deviceId":"phone-1"[^\]]*\]/g)).toHaveLength(2);
      expect(stdout.match(/\[\{[^\]]*"deviceId":"laptop-1"[^\]]*\]/g)).toHaveLength(2);
      expect(stdout).toMatch(/204\n\{[^}]*"statusCode":401[^}]*"code":"session_revoked"[^}]*\}/);
      expect(stdout).toMatch(/"email":"user@example\.com","roles":\["user"\]\}\s*$/);
    } finally {
      rmSync(jars, { recursive: true });
      await sample.close();
    }
  }, 30_000);

  it('names every error with its status', () => {
    const rows = tableUnder(README, '## Errors').map(([code = '', status = '']) => [plain(code), Number(status)]);
    expect(Object.fromEntries(rows)).toEqual(HTTP_STATUS);
  });

  it('has the same commands as package.json', () => {
    const { scripts } = JSON.parse(readDocument('package.json')) as { scripts: Record<string, string> };
    for (const [, name = ''] of README.matchAll(/npm (?:run )?(start|test|[a-z]+:[a-z]+)\b/g)) {
      expect(Object.keys(scripts)).toContain(name);
    }
  });

  it('links to documents that are there', () => {
    for (const [, file = ''] of README.matchAll(/`((?:docs\/)?[\w-]+\.(?:md|yml))`/g)) {
      expect([file, readFileSync(join(root, file), 'utf8').length > 0]).toEqual([file, true]);
    }
  });
});
