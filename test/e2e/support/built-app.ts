import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expectNoTokenInLogs, newBrowser } from './sample.js';
import type { Browser } from './browser.js';

const root = process.cwd();

/** The sample, compiled as for production into a folder of its own: `dist` may be in use. */
export class BuiltApp {
  private constructor(private readonly folder: string) {}

  static async build(): Promise<BuiltApp> {
    const folder = mkdtempSync(join(root, '.dist-e2e-'));
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    await promisify(execFile)(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', folder], { cwd: root });
    return new BuiltApp(folder);
  }

  /** Runs it with these variables and no others of ours; resolves once it listens. */
  async run(env: Record<string, string> = {}): Promise<RunningApp> {
    const app = new RunningApp(this.spawn(env));
    await app.listening;
    return app;
  }

  /** Runs it to its end; for boots that are refused. */
  async runToEnd(env: Record<string, string>): Promise<{ code: number | null; output: string }> {
    const child = this.spawn(env);
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { code, output };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  private spawn(env: Record<string, string>): ChildProcess {
    return spawn(process.execPath, [join(this.folder, 'main.js')], {
      cwd: root,
      env: { PATH: process.env['PATH'] ?? '', PORT: '0', NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }
}

export class RunningApp {
  output = '';
  readonly listening: Promise<void>;
  private url = '';
  private readonly ended: Promise<number | NodeJS.Signals | null>;

  constructor(private readonly child: ChildProcess) {
    this.ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
    this.listening = new Promise((resolve, reject) => {
      const read = (chunk: Buffer): void => {
        this.output += chunk.toString();
        const port = /Listening on \S+:(\d+)/.exec(this.output)?.[1];
        if (port === undefined) return;
        this.url = `http://127.0.0.1:${port}`;
        resolve();
      };
      child.stdout?.on('data', read);
      child.stderr?.on('data', read);
      child.once('exit', (code) => reject(new Error(`the app ended with ${code}:\n${this.output}`)));
    });
  }

  browser(): Browser {
    return newBrowser(this.url);
  }

  /** Asks it to end, as a process manager does; gives the exit code, or the signal that killed it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | NodeJS.Signals | null> {
    this.child.kill(signal);
    const last = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
    const how = await this.ended;
    clearTimeout(last);
    expectNoTokenInLogs(this.output);
    return how;
  }
}
