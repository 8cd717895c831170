/** @type {import('jest').Config} */
export default {
  testEnvironment: '<rootDir>/jest.environment.mjs',
  roots: ['<rootDir>/libs/session/test', '<rootDir>/libs/session/src', '<rootDir>/test', '<rootDir>/src'],
  testMatch: ['**/test/**/*.spec.ts', '**/test/**/*.e2e-spec.ts'],
  modulePathIgnorePatterns: ['<rootDir>/test/package/fixtures', '/\\.dist-'],
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  extensionsToTreatAsEsm: ['.ts'],
  resolver: '<rootDir>/jest.resolver.cjs',
  // @fastify/static, which mercurius loads, requires a version that is an ES module alone; jest cannot do that before Node 24.9.
  moduleNameMapper: { '^content-disposition$': '<rootDir>/node_modules/content-disposition' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        swcrc: false,
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
          keepClassNames: true,
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  setupFiles: ['reflect-metadata'],
  maxWorkers: 2,
  // Modules of finished files stay in memory: a worker that has grown so far is replaced.
  workerIdleMemoryLimit: '1GB',
  // Generous: machines are shared. A test that hangs still fails.
  testTimeout: 60_000,
  collectCoverageFrom: ['libs/session/src/**/*.ts', '!**/*.generated.ts'],
};
