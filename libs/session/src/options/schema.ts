// What the schemas of the options are built from: the part of zod's interface that they use, with zod's meaning. zod itself
// would be two thirds of an installation of this package and half of the time that its import takes (docs/dependencies.md).

/** What is wrong with a value, and where in it. */
export interface Issue {
  /** `content`: of the right kind, and refused by a check. `unknown`: no such option. `union`: no alternative took the value. */
  readonly kind: 'type' | 'value' | 'content' | 'unknown' | 'union';
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** Of a union: what each alternative refused. */
  readonly alternatives?: readonly Issue[];
}

type Result<T> = { readonly value: T } | { readonly issue: Issue };

/** What a schema consists of, for those who look for the names of options in it. */
export interface SchemaParts {
  readonly shape?: Readonly<Record<string, Schema<unknown>>>;
  readonly element?: Schema<unknown>;
  readonly alternatives?: readonly Schema<unknown>[];
  readonly inner?: Schema<unknown>;
}

interface WithError {
  readonly error: string;
}

interface TransformContext {
  addIssue(issue: { readonly code: 'custom'; readonly message: string }): void;
}

/** Reads a value: checks it, fills in defaults and converts it. The first thing that is wrong is reported. */
export class Schema<T> {
  constructor(
    readonly read: (value: unknown) => Result<T>,
    readonly parts: SchemaParts = {},
  ) {}

  /** Lets the value be left out. */
  optional(): Schema<T | undefined> {
    return this.wrapped<T | undefined>((value) => (value === undefined ? { value } : this.read(value)));
  }

  /** What is read where the value is left out. */
  default(fallback: T): Schema<T> {
    return this.wrapped((value) => (value === undefined ? { value: fallback } : this.read(value)));
  }

  /** What is read as if it were given, where the value is left out. */
  prefault(fallback: unknown): Schema<T> {
    return this.wrapped((value) => this.read(value === undefined ? fallback : value));
  }

  refine(isGood: (value: T) => boolean, { error }: WithError): Schema<T> {
    return this.wrapped(refined(this.read, isGood, error));
  }

  transform<U>(convert: (value: T, context: TransformContext) => U): Schema<U> {
    return this.wrapped((given) => {
      const result = this.read(given);
      if ('issue' in result) return result;
      let message: string | undefined;
      const value = convert(result.value, { addIssue: (issue) => (message ??= issue.message) });
      return message === undefined ? { value } : wrong('content', message);
    });
  }

  private wrapped<U>(read: (value: unknown) => Result<U>): Schema<U> {
    return new Schema(read, { inner: this });
  }
}

/** What a schema gives. */
export type output<S> = S extends Schema<infer T> ? T : never;

/** Returned by a `transform` that has added an issue. */
export const NEVER = undefined as never;

class TextSchema extends Schema<string> {
  min(least: number, { error }: WithError): TextSchema {
    return new TextSchema(refined(this.read, (value) => value.length >= least, error));
  }

  regex(pattern: RegExp, { error }: WithError): TextSchema {
    return new TextSchema(refined(this.read, (value) => pattern.test(value), error));
  }
}

class NumberSchema extends Schema<number> {
  min(least: number, { error }: WithError): NumberSchema {
    return new NumberSchema(refined(this.read, (value) => value >= least, error));
  }

  max(most: number, { error }: WithError): NumberSchema {
    return new NumberSchema(refined(this.read, (value) => value <= most, error));
  }
}

class ListSchema<T> extends Schema<T[]> {
  min(least: number, { error }: WithError): ListSchema<T> {
    return new ListSchema(
      refined(this.read, (value) => value.length >= least, error),
      this.parts,
    );
  }
}

export function unknown(): Schema<unknown> {
  return new Schema((value) => ({ value }));
}

export function string({ error }: WithError = { error: 'must be text' }): TextSchema {
  return new TextSchema((value) => (typeof value === 'string' ? { value } : wrong('type', error)));
}

export function boolean({ error }: WithError = { error: 'must be true or false' }): Schema<boolean> {
  return new Schema((value) => (typeof value === 'boolean' ? { value } : wrong('type', error)));
}

export function int({ error }: WithError = { error: 'must be a whole number' }): NumberSchema {
  return new NumberSchema((value) =>
    typeof value === 'number' && Number.isSafeInteger(value) ? { value } : wrong('type', error),
  );
}

export function literal<const T extends string | boolean>(expected: T, options?: WithError): Schema<T> {
  const error = options?.error ?? `must be ${JSON.stringify(expected)}`;
  return new Schema((value) => (value === expected ? { value: expected } : wrong('value', error)));
}

function oneOf<const T extends string>(values: readonly T[], options?: WithError): Schema<T> {
  const error = options?.error ?? `must be one of ${values.map((value) => JSON.stringify(value)).join(', ')}`;
  return new Schema((given) => {
    const value = values.find((candidate) => candidate === given);
    return value === undefined ? wrong('value', error) : { value };
  });
}
export { oneOf as enum };

export function custom<T>(isGood: (value: unknown) => boolean, { error }: WithError): Schema<T> {
  return new Schema((value) => (isGood(value) ? { value: value as T } : wrong('type', error)));
}

/** The first alternative that takes the value. What a single one refuses for its content is reported as its own. */
export function union<const S extends readonly Schema<unknown>[]>(
  alternatives: S,
  { error }: WithError,
): Schema<output<S[number]>> {
  return new Schema(
    (value) => {
      const issues: Issue[] = [];
      for (const alternative of alternatives) {
        const result = alternative.read(value) as Result<output<S[number]>>;
        if ('value' in result) return result;
        issues.push(result.issue);
      }
      const [refused, ...others] = issues.filter(({ kind }) => kind === 'content');
      if (refused && others.length === 0) return { issue: refused };
      return { issue: { kind: 'union', path: [], message: error, alternatives: issues } };
    },
    { alternatives },
  );
}

export function array<T>(element: Schema<T>, { error }: WithError = { error: 'must be a list' }): ListSchema<T> {
  return new ListSchema(
    (value) => {
      if (!Array.isArray(value)) return wrong('type', error);
      const read: T[] = [];
      for (const [index, item] of value.entries()) {
        const result = element.read(item);
        if ('issue' in result) return at(index, result.issue);
        read.push(result.value);
      }
      return { value: read };
    },
    { element },
  );
}

/** An object with values for some of the keys. */
export function partialRecord<K extends string, T>(
  key: Schema<K>,
  element: Schema<T>,
  { error }: WithError = { error: 'must be an object' },
): Schema<Partial<Record<K, T>>> {
  return new Schema((value) => {
    if (!isObject(value)) return wrong('type', error);
    const read: Partial<Record<K, T>> = {};
    for (const [name, item] of Object.entries(value)) {
      const known = key.read(name);
      if ('issue' in known) return at(name, { kind: 'unknown', path: [], message: known.issue.message });
      const result = element.read(item);
      if ('issue' in result) return at(name, result.issue);
      read[known.value] = result.value;
    }
    return { value: read };
  });
}

type Shape = Readonly<Record<string, Schema<unknown>>>;

type ObjectOf<S extends Shape> = { [K in keyof S]: output<S[K]> };

/** An object with these options and no others. */
export function strictObject<const S extends Shape>(shape: S): Schema<ObjectOf<S>> {
  return new Schema(
    (value) => {
      if (!isObject(value)) return wrong('type', 'must be an object');
      const read: Record<string, unknown> = {};
      for (const [name, schema] of Object.entries(shape)) {
        const result = schema.read(value[name]);
        if ('issue' in result) return at(name, result.issue);
        read[name] = result.value;
      }
      const unknownName = Object.keys(value).find((name) => !Object.hasOwn(shape, name));
      if (unknownName !== undefined) return at(unknownName, { kind: 'unknown', path: [], message: 'does not exist' });
      return { value: read as ObjectOf<S> };
    },
    { shape },
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(kind: Issue['kind'], message: string): { issue: Issue } {
  return { issue: { kind, path: [], message } };
}

function at(key: string | number, issue: Issue): { issue: Issue } {
  return { issue: { ...issue, path: [key, ...issue.path] } };
}

function refined<T>(read: (value: unknown) => Result<T>, isGood: (value: T) => boolean, error: string) {
  return (given: unknown): Result<T> => {
    const result = read(given);
    return 'issue' in result || isGood(result.value) ? result : wrong('content', error);
  };
}
