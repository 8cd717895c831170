/** The assertions that the suites use, common to jest and vitest. */
export interface Matchers {
  readonly not: Matchers;
  toBe(expected: unknown): void;
  toEqual(expected: unknown): void;
  toMatchObject(expected: object): void;
  toMatch(expected: RegExp): void;
  toContain(expected: unknown): void;
  toHaveLength(expected: number): void;
  toBeNull(): void;
  toBeUndefined(): void;
  toBeInstanceOf(expected: unknown): void;
  toBeGreaterThan(expected: number): void;
  toBeGreaterThanOrEqual(expected: number): void;
  toBeLessThan(expected: number): void;
  toBeLessThanOrEqual(expected: number): void;
}

type Body = () => void | Promise<void>;

interface TestApi {
  describe(name: string, body: () => void): void;
  it(name: string, body: Body): void;
  beforeEach(body: Body): void;
  afterEach(body: Body): void;
  expect(actual: unknown): Matchers;
}

/**
 * The functions of the test runner, found where jest and vitest (`globals: true`) put them, because the library imports
 * neither.
 *
 * @throws {Error} outside a test file.
 */
function api<K extends keyof TestApi>(name: K): TestApi[K] {
  const found = (globalThis as Partial<TestApi>)[name];
  if (found === undefined) {
    throw new Error(
      `nestjs-sessions/store-contract needs ${name}() as a global: call it from a test file of jest, or of vitest with "globals: true".`,
    );
  }
  return found;
}

export const describe: TestApi['describe'] = (name, body) => api('describe')(name, body);
export const it: TestApi['it'] = (name, body) => api('it')(name, body);
export const afterEach: TestApi['afterEach'] = (body) => api('afterEach')(body);
export const expect: TestApi['expect'] = (actual) => api('expect')(actual);
