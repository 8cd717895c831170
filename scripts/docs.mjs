// npm run docs: the documentation as a website, in the folder `site`: the pages of `docs`, the reference from the docstrings, and a
// search over both. Fails for a dead link. Open site/index.html in a browser; no server is needed.
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application, Converter, OptionDefaults, ReflectionKind } from 'typedoc';

const root = fileURLToPath(new URL('..', import.meta.url));
const library = join(root, 'libs/session');
/** @type {{ version: string, exports: Record<string, string | { import: { types: string } }> }} */
const manifest = JSON.parse(readFileSync(join(library, 'package.json'), 'utf8'));
/** The subpath of each source, such as `/express` of `frameworks/express/index.ts`. */
const subpaths = new Map(
  Object.entries(manifest.exports).flatMap(([subpath, target]) =>
    typeof target === 'string'
      ? []
      : [[target.import.types.replace('./dist/esm/', '').replace('.d.ts', '.ts'), subpath.slice(1)]],
  ),
);
const index = readFileSync(join(root, 'docs/README.md'), 'utf8');

const app = await Application.bootstrap({
  name: `nestjs-sessions ${manifest.version}`,
  out: join(root, 'site'),
  tsconfig: join(library, 'tsconfig.json'),
  entryPoints: [...subpaths.keys()].map((source) => join(library, 'src', source)),
  projectDocuments: pagesInOrder().map((page) => join(root, 'docs', page)),
  readme: join(root, 'docs/README.md'),
  includeVersion: false,
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  sort: ['documents-first', 'source-order'],
  sortEntryPoints: false,
  searchInDocuments: true,
  headings: { readme: false },
  navigation: { includeCategories: true, includeGroups: false, excludeReferences: true },
  validation: { invalidLink: true, invalidPath: true, notExported: false, notDocumented: false, rewrittenLink: true },
  treatWarningsAsErrors: true,
  highlightLanguages: ['typescript', 'javascript', 'json', 'sh', 'diff', 'html', 'http', 'lua', 'mermaid', 'yaml'],
  blockTags: [...OptionDefaults.blockTags, '@ts-ignore'],
});
app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_context, document) => {
  const text = document.content.map(({ text: part }) => part).join('');
  document.name = /^# (.*)$/m.exec(text)?.[1] ?? document.name;
});
app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
  for (const module of project.getReflectionsByKind(ReflectionKind.Module)) {
    const subpath = subpaths.get(`${module.name}/index.ts`) ?? subpaths.get(`${module.name}.ts`);
    if (subpath !== undefined) module.name = `nestjs-sessions${subpath}`;
  }
});
const project = await app.convert();
if (!project) throw new Error('The sources could not be read.');
app.validate(project);
await app.generateOutputs(project);
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exitCode = 1;

/** The pages of `docs` in the order in which its README names them. */
function pagesInOrder() {
  const named = [...index.matchAll(/\]\(([\w-]+\.md)/g)].map(([, page]) => basename(page ?? ''));
  return [...new Set(named)].filter((page) => existsSync(join(root, 'docs', page)));
}
