import { join } from 'node:path';
import ts from 'typescript';
import { root } from './markdown.js';

/** Those that everything in this repository is compiled with. */
export function compilerOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.base.json'), (file) => ts.sys.readFile(file));
  return ts.parseJsonConfigFileContent(config, ts.sys, root).options;
}

/** What the compiler says about the blocks, each taken as a file in the root of this repository: an ES module, or CommonJS. */
export function compilerErrorsIn(
  code: { code: string; line: number; file?: string }[],
  extension: 'mts' | 'cts' = 'mts',
): string[] {
  const options = { ...compilerOptions(), noEmit: true };
  const files = new Map(
    code.map((block) => [
      join(root, `${block.file?.replace(/\W/g, '-') ?? 'block'}-line-${block.line}.${extension}`),
      block.code,
    ]),
  );
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => files.has(name) || fileExists.call(host, name);
  host.readFile = (name) => files.get(name) ?? readFile.call(host, name);
  host.getSourceFile = (name, version, ...more) => {
    const text = files.get(name);
    return text === undefined
      ? getSourceFile.call(host, name, version, ...more)
      : ts.createSourceFile(name, text, version);
  };
  const program = ts.createProgram([...files.keys()], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => {
    const name = file?.fileName.replace(`${root}/`, '') ?? '';
    return `${name}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
  });
}
