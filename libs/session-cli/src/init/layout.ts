import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';
import type typescript from 'typescript';
import { CommandError, EXIT } from '../exit-codes.js';

export type TypeScript = typeof typescript;

/** What `init` must know about an application. */
export interface Layout {
  readonly folder: string;
  /** Text of package.json. */
  readonly manifest: string;
  /** Path of the root module, relative to the folder. */
  readonly module: string;
  /** The application's own compiler: it reads the files that are changed. */
  readonly ts: TypeScript;
  /** The file that sets the module up already, or null. */
  readonly present: string | null;
}

/** Stops `init`: nothing was changed. */
export function unknownLayout(problem: string): never {
  throw new CommandError(`init: ${problem} Nothing was changed.`, EXIT.usage);
}

/**
 * Reads the layout of a Nest application.
 *
 * @throws {CommandError} for a folder that is not one, or one whose root module is not found.
 */
export function layoutOf(folder: string, { project, module }: { project?: string; module?: string }): Layout {
  const manifest = textIn(folder, 'package.json') ?? unknownLayout(`${folder} has no package.json.`);
  const { dependencies } = objectIn(manifest, 'package.json') as { dependencies?: Record<string, string> };
  if (dependencies?.['@nestjs/core'] === undefined)
    unknownLayout('package.json does not name @nestjs/core: this is not a Nest application.');
  const sources = sourceRoot(folder, project);
  const root = module ?? join(sources, 'app.module.ts');
  if (!existsSync(join(folder, root)))
    unknownLayout(`there is no ${root}. Name the file of the root module with --module.`);
  return { folder, manifest, module: root, ts: compilerOf(folder), present: moduleIn(join(folder, sources), folder) };
}

/** The text of a file, or null if there is none. */
export function textIn(folder: string, path: string): string | null {
  const file = join(folder, path);
  if (!existsSync(file)) return null;
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(`init: ${error instanceof Error ? error.message : String(error)}`, EXIT.failed);
  }
}

function sourceRoot(folder: string, project: string | undefined): string {
  const text = textIn(folder, 'nest-cli.json');
  if (text === null) return 'src';
  const cli = objectIn(text, 'nest-cli.json') as {
    sourceRoot?: string;
    projects?: Record<string, { type?: string; sourceRoot?: string; root?: string }>;
  };
  const applications = Object.entries(cli.projects ?? {}).filter(([, { type }]) => type !== 'library');
  if (project === undefined && applications.length < 2)
    return applications[0]?.[1].sourceRoot ?? cli.sourceRoot ?? 'src';
  const names = applications.map(([name]) => name).join(', ');
  if (project === undefined)
    unknownLayout(`nest-cli.json has several applications. Name one with --project: ${names}.`);
  const found = applications.find(([name]) => name === project)?.[1];
  if (!found) unknownLayout(`nest-cli.json has no application ${project}${names === '' ? '' : `, but ${names}`}.`);
  return found.sourceRoot ?? join(found.root ?? '', 'src');
}

function objectIn(text: string, name: string): object {
  try {
    const value: unknown = JSON.parse(text.replace(/^\uFEFF/, ''));
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Said below.
  }
  return unknownLayout(`${name} is not a JSON object.`);
}

function compilerOf(folder: string): TypeScript {
  try {
    const ts = createRequire(join(folder, 'package.json'))('typescript') as TypeScript;
    if (typeof ts.createSourceFile === 'function') return ts;
  } catch {
    // Said below.
  }
  return unknownLayout('typescript is not installed in the application. Run npm install first.');
}

/** The file that imports the module of the library and sets it up. */
function moduleIn(sources: string, folder: string): string | null {
  for (const entry of readdirSync(sources, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ts') || entry.parentPath.includes('node_modules')) continue;
    const file = join(entry.parentPath, entry.name);
    const text = readFileSync(file, 'utf8');
    if (text.includes('nestjs-sessions') && text.includes('SessionModule.forRoot')) return relative(folder, file);
  }
  return null;
}
