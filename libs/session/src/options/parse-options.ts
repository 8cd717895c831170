import type { z } from 'zod';
import { nearestName, refuse } from './option-complaint.js';
import { optionsSchema, type ParsedOptions } from './options-schema.js';

type Issue = z.core.$ZodIssue;

/**
 * The options with every default filled in.
 *
 * @throws {ConfigurationError} that names the first wrong or unknown option and the mend.
 */
export function parseOptions(options: unknown): ParsedOptions {
  const result = optionsSchema.safeParse(options);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  if (!issue) throw result.error;
  return complain(issue, []);
}

function complain(issue: Issue, parents: readonly PropertyKey[]): never {
  const path = [...parents, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const [unknown = ''] = issue.keys;
    const nearest = nearestName(unknown, knownNames(path));
    refuse(
      nameOf([...path, unknown]),
      nearest ? `there is no such option; did you mean "${nearest}"?` : 'there is no such option',
    );
  }
  if (issue.code === 'invalid_union') {
    // The branch that agreed with the kind of value has the better complaint: about what is inside.
    const inner = issue.errors
      .flat()
      .find((candidate) => candidate.path.length > 0 || candidate.code !== 'invalid_type');
    if (inner && inner.code !== 'invalid_value' && !isPlain(inner)) complain(inner, path);
  }
  refuse(
    nameOf(path),
    issue.code === 'invalid_type' && issue.expected === 'object' ? 'must be an object' : issue.message,
  );
}

/** Complaints of single values say less than the union's own. */
function isPlain(issue: Issue): boolean {
  return issue.path.length === 0 && issue.code !== 'unrecognized_keys';
}

function nameOf(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'options';
  return path
    .map((key, index) => (typeof key === 'number' ? `[${key}]` : `${index === 0 ? '' : '.'}${String(key)}`))
    .join('');
}

/** The names that exist at a place in the options, however the schema wraps them. */
function knownNames(path: readonly PropertyKey[]): string[] {
  let schemas: unknown[] = [optionsSchema];
  for (const key of path) {
    schemas = schemas.flatMap(unwrapped).flatMap((schema) => {
      if (typeof key === 'number') return 'element' in schema ? [schema['element']] : [];
      const shape = schema['shape'] as Record<string, unknown> | undefined;
      return shape && String(key) in shape ? [shape[String(key)]] : [];
    });
  }
  return schemas.flatMap(unwrapped).flatMap((schema) => Object.keys((schema['shape'] as object | undefined) ?? {}));
}

function unwrapped(schema: unknown): Record<string, unknown>[] {
  const def = (schema as { def?: Record<string, unknown> } | undefined)?.def;
  if (!def) return [];
  if (Array.isArray(def['options'])) return def['options'].flatMap(unwrapped);
  const inner = def['innerType'] ?? def['in'];
  return inner ? unwrapped(inner) : [schema as Record<string, unknown>];
}
