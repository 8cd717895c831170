const SRC = '^libs/session/src/';

/** The layers of the library, and what each may import beside itself. */
const LAYERS = {
  model: [],
  ports: ['model'],
  options: ['model', 'ports'],
  memory: ['model', 'ports', 'options'],
  redis: ['model', 'ports', 'options'],
  services: ['model', 'ports', 'options'],
  http: ['model', 'ports', 'options', 'services'],
  // Sessions whose id a framework draws: what the stores of express and fastify have in common.
  aliased: ['model', 'ports', 'options', 'redis', 'services'],
  express: ['model', 'ports', 'options', 'memory', 'redis', 'services', 'aliased'],
  fastify: ['model', 'ports', 'options', 'memory', 'redis', 'services', 'aliased'],
  module: ['model', 'ports', 'options', 'memory', 'redis', 'services', 'http', 'express'],
};

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      comment: 'Imports that form a circle make the order of loading decide what is undefined.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    ...Object.entries(LAYERS).map(([layer, others]) => ({
      name: `layer-${layer}`,
      comment: `${layer} may import ${others.length > 0 ? others.join(', ') : 'no other layer'}.`,
      severity: 'error',
      from: { path: `${SRC}${layer}/` },
      to: { path: SRC, pathNot: `${SRC}(${[layer, ...others].join('|')})/` },
    })),
    {
      name: 'model-is-pure',
      comment: 'The model knows neither Nest nor any technology.',
      severity: 'error',
      from: { path: `${SRC}model/` },
      to: { path: 'node_modules/(@nestjs|ioredis|passport|express|fastify|rxjs)' },
    },
    {
      name: 'ioredis-behind-its-adapter',
      comment: 'Other layers may name the types of ioredis; only redis and module load it.',
      severity: 'error',
      from: { path: SRC, pathNot: `${SRC}(redis|module)/` },
      to: { path: 'node_modules/ioredis', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'optional-peers-in-subpaths',
      comment: 'Nobody needs to install what only a subpath uses.',
      severity: 'error',
      // The module loads telemetry behind an import() that may fail.
      from: {
        path: `${SRC}(${Object.keys(LAYERS).join('|')})/`,
        pathNot: `${SRC}((express|fastify)/|module/load-telemetry\\.ts)`,
      },
      to: {
        path: 'node_modules/(@nestjs/terminus|@opentelemetry/api|express-session|maxmind)',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'one-door',
      comment: 'Only an index.ts passes on what other files export, and no file of the library imports one.',
      severity: 'error',
      from: { path: SRC, pathNot: '/index\\.ts$' },
      to: { dependencyTypes: ['export'] },
    },
    {
      name: 'no-barrel',
      comment: 'Inside the library, import the file that has the thing.',
      severity: 'error',
      from: { path: SRC },
      to: { path: `${SRC}.*\\bindex\\.ts$` },
    },
    {
      name: 'declared',
      comment: 'A user of the library has only what libs/session/package.json asks for.',
      severity: 'error',
      from: { path: SRC },
      to: {
        dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev', 'undetermined'],
        // An optional peer is reported as both.
        dependencyTypesNot: ['npm-peer'],
      },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: { path: SRC },
      to: { couldNotResolve: true },
    },
    {
      name: 'sample-is-a-user',
      comment: 'The sample imports nestjs-sessions by name, as any user would.',
      severity: 'error',
      from: { path: '^src/' },
      // By name it resolves to libs/session/dist; eslint forbids to reach that one by path.
      to: { path: '^libs/[^/]+/(src|test)/' },
    },
  ],
  options: {
    doNotFollow: { path: ['node_modules', '^libs/[^/]+/dist'] },
    tsPreCompilationDeps: true,
    combinedDependencies: false,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
