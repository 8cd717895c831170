import { namedElsewhere } from './foreign-names.js';
import { nearestName, refuse } from './option-error.js';
import { optionsSchema, type ParsedOptions } from './options-schema.js';
import type { Issue, Schema } from './schema.js';

type Path = Issue['path'];

/**
 * The options with every default filled in.
 *
 * @throws {ConfigurationError} that names the first wrong or unknown option and how to fix it.
 */
export function parseOptions(options: unknown): ParsedOptions {
  const result = optionsSchema.read(options);
  return 'value' in result ? result.value : report(result.issue, []);
}

function report(issue: Issue, parents: Path): never {
  const path = [...parents, ...issue.path];
  if (issue.kind === 'unknown') {
    const name = nameOf(path);
    const elsewhere = namedElsewhere(name);
    if (elsewhere !== null) refuse(name, `there is no such option; ${elsewhere}`);
    const last = String(path.at(-1));
    const nearest = nearestName(last, knownNames(path.slice(0, -1))) ?? nearestPath(last);
    refuse(name, nearest ? `there is no such option; did you mean "${nearest}"?` : 'there is no such option');
  }
  // The alternative that took the kind of value has the better message: it is about the content.
  const inner = issue.alternatives?.find((candidate) => candidate.path.length > 0);
  if (inner && inner.kind !== 'value') report(inner, path);
  refuse(nameOf(path), issue.message);
}

function nameOf(path: Path): string {
  if (path.length === 0) return 'options';
  return path.map((key, index) => (typeof key === 'number' ? `[${key}]` : `${index === 0 ? '' : '.'}${key}`)).join('');
}

/** The option with this name or one like it, one level down: `session.idleTimeout` for `idleTimeout`. Null if several have it. */
function nearestPath(name: string): string | null {
  const groups = knownNames([]).map((group) => ({ group, names: knownNames([group]) }));
  const nearest = nearestName(
    name,
    groups.flatMap(({ names }) => names),
  );
  const owners = groups.filter(({ names }) => nearest !== null && names.includes(nearest));
  return owners.length === 1 ? `${owners[0]?.group}.${nearest}` : null;
}

/** The option names at a path, through all wrappers of the schema. */
function knownNames(path: Path): string[] {
  let schemas: Schema<unknown>[] = [optionsSchema];
  for (const key of path) {
    schemas = schemas.flatMap(unwrapped).flatMap(({ parts: { shape, element } }) => {
      const part = typeof key === 'number' ? element : shape?.[key];
      return part ? [part] : [];
    });
  }
  return schemas.flatMap(unwrapped).flatMap(({ parts: { shape } }) => Object.keys(shape ?? {}));
}

function unwrapped(schema: Schema<unknown>): Schema<unknown>[] {
  const { alternatives, inner } = schema.parts;
  if (alternatives) return alternatives.flatMap(unwrapped);
  return inner ? unwrapped(inner) : [schema];
}
