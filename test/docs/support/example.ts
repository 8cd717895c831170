import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import ts from 'typescript';
import { freePort } from '../../../scripts/redis-process.mjs';
import { compilerOptions } from './compiler.js';
import { root } from './markdown.js';

/** A code block as a module of its own, in the root of this repository; to be removed by `remove`. */
export function moduleOf(code: string): { file: string; remove: () => void } {
  const folder = mkdtempSync(join(root, '.dist-example-'));
  const options = { ...compilerOptions(), module: ts.ModuleKind.ESNext };
  const file = join(folder, 'main.mjs');
  writeFileSync(file, ts.transpileModule(code, { compilerOptions: options }).outputText);
  return { file, remove: () => rmSync(folder, { recursive: true }) };
}

/** Runs a code block that listens on `PORT`, in a process of its own, until `use` is done with its address. */
export async function withExample(code: string, use: (url: string) => Promise<void>): Promise<void> {
  const { file, remove } = moduleOf(code);
  const port = await freePort();
  const env = { PATH: process.env['PATH'], PORT: String(port) };
  const app = spawn(process.execPath, [file], { cwd: root, env, stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  app.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise((resolve) => app.once('exit', resolve));
  try {
    const deadline = Date.now() + 60_000;
    while (!(await accepts(port))) {
      if (app.exitCode !== null || Date.now() > deadline) throw new Error(`the example does not listen:\n${output}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await use(`http://127.0.0.1:${port}`);
  } finally {
    app.kill('SIGKILL');
    await ended;
    remove();
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => socket.end(() => resolve(true)));
    socket.once('error', () => resolve(false));
  });
}
