import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { newBrowser, Sample } from '../e2e/support/sample.js';
import { compilerErrorsIn } from './support/compiler.js';
import { withExample } from './support/example.js';
import { codeBlocks, readDocument } from './support/markdown.js';

const README = readDocument('README.md');
const blocks = codeBlocks(README).filter(({ info }) => info === 'ts');

describe('the README', () => {
  it('fits on a front page', () => {
    expect(README.split('\n').length).toBeLessThanOrEqual(200);
  });

  it('would not compile whatever it said', () => {
    const [wrong] = compilerErrorsIn([
      {
        line: 1,
        code: "import { SessionModule } from 'nestjs-sessions';\nSessionModule.forRoot({ session: { idleTimout: 5 } });\n",
      },
    ]);
    expect(wrong).toContain('idleTimout');
  }, 60_000);

  it('has a smallest example that works', async () => {
    await withExample(blocks[0]?.code ?? '', async (url) => {
      const browser = newBrowser(url);
      expect((await browser.get('/me')).status).toBe(401);
      expect((await fetch(`${url}/login`, { method: 'POST' })).status).toBe(401);
      expect((await browser.post('/login', { password: 'byron' })).status).toBe(401);
      expect((await browser.post('/login', { password: 'lovelace' })).status).toBe(201);
      expect((await browser.get('/me')).body).toEqual({ id: 'u-1', email: 'ada@example.com', roles: ['user'] });
      const copy = browser.copy();
      await browser.post('/logout');
      expect((await copy.get('/me')).status).toBe(401);
    });
  }, 60_000);

  it('has the same example as the package, and it compiles as CommonJS too', () => {
    const [example] = blocks;
    expect(codeBlocks(readDocument('libs/session/README.md')).find(({ info }) => info === 'ts')?.code).toBe(
      example?.code,
    );
    expect(compilerErrorsIn(blocks.slice(0, 1), 'cts')).toEqual([]);
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

  it('has the same commands as package.json', () => {
    const { scripts } = JSON.parse(readDocument('package.json')) as { scripts: Record<string, string> };
    for (const [, name = ''] of README.matchAll(/npm (?:run )?(start|test|[a-z]+:[a-z]+)\b/g)) {
      expect(Object.keys(scripts)).toContain(name);
    }
  });
});
