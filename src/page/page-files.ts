import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NotFoundException, StreamableFile } from '@nestjs/common';

export interface PageFile {
  readonly content: Buffer;
  readonly type: string;
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The page's own files. */
export const PAGE_FOLDER = fileURLToPath(new URL('../../public/', import.meta.url));

/** The browser client as the package has it. A page with a bundler imports `nestjs-sessions/client` instead. */
export const CLIENT_FOLDER = join(
  dirname(createRequire(import.meta.url).resolve('nestjs-sessions/package.json')),
  'dist/esm/client',
);

/** The files of a folder that a browser may have, by name. Read once: no name in a request reaches the file system. */
export function filesIn(folder: string, names: readonly string[] = readdirSync(folder)): ReadonlyMap<string, PageFile> {
  return new Map(
    names.flatMap((name) => {
      const type = TYPES[extname(name)];
      return type === undefined ? [] : [[name, { content: readFileSync(join(folder, name)), type }] as const];
    }),
  );
}

export function sent(file: PageFile | undefined): StreamableFile {
  if (!file) throw new NotFoundException();
  const { content, type } = file;
  return new StreamableFile(content, { type, length: content.length });
}
