const SRC = '^libs/session/src/';

/** The layers of the library, and what each may import beside itself. */
const LAYERS = {
  model: [],
  // Runs in browsers: nothing of the server may get into it.
  client: [],
  ports: ['model'],
  options: ['model', 'ports'],
  memory: ['model', 'ports', 'options'],
  'near-cache': ['model', 'ports'],
  redis: ['model', 'ports', 'options'],
  events: ['model', 'ports', 'options'],
  tokens: ['model', 'ports', 'options', 'events', 'sessions'],
  sessions: ['model', 'ports', 'options', 'events', 'tokens'],
  location: ['model', 'ports', 'options'],
  http: ['model', 'ports', 'options', 'sessions', 'tokens', 'events', 'location'],
  'device-bound': ['model', 'ports', 'options', 'sessions', 'tokens', 'events', 'http'],
  passport: ['model', 'ports', 'options', 'sessions', 'tokens', 'http', 'core'],
  // Types that only authors of a store need; nothing of the library imports them from here.
  store: ['model', 'ports', 'options', 'memory', 'redis'],
  core: ['model', 'ports', 'options', 'near-cache', 'sessions', 'tokens', 'events', 'location', 'http', 'device-bound'],
  // For operators, who have Redis but no application.
  admin: ['model', 'ports', 'options', 'redis', 'sessions'],
  standalone: ['model', 'ports', 'options', 'sessions', 'tokens', 'http', 'core'],
  // What the stores for express-session and @fastify/session have in common lies in frameworks/engine.
  frameworks: ['model', 'ports', 'options', 'memory', 'redis', 'sessions', 'tokens', 'events', 'http'],
  // The suite that authors of stores run; nothing of the library imports it.
  'store-contract': ['model', 'ports', 'options'],
  // Sessions in the tests of applications.
  terminus: ['model', 'ports', 'options'],
  swagger: ['model', 'options', 'http'],
  websockets: ['model', 'ports', 'tokens', 'http', 'core'],
  graphql: ['http'],
  testing: ['model', 'options', 'memory', 'sessions', 'http', 'core', 'module'],
  module: [
    'model',
    'ports',
    'options',
    'memory',
    'redis',
    'sessions',
    'tokens',
    'events',
    'location',
    'http',
    'device-bound',
    'core',
    'frameworks',
  ],
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
      // Its errors are HttpExceptions: only by that class do the exception filters of applications know a status.
      comment: 'The model knows neither Nest nor any technology; errors alone extend HttpException.',
      severity: 'error',
      from: { path: `${SRC}model/`, pathNot: `${SRC}model/errors\\.ts$` },
      to: { path: 'node_modules/(@nestjs|ioredis|passport|express|fastify|rxjs)' },
    },
    {
      name: 'admin-starts-fast',
      comment: 'A command line must not wait for all of Nest: import the module of what it needs instead.',
      severity: 'error',
      from: { path: `${SRC}admin/` },
      to: { path: 'node_modules/@nestjs/common/index\\.js$', reachable: true },
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
      // The core loads telemetry and @nestjs/jwt behind an import() that may fail.
      from: {
        path: `${SRC}(${Object.keys(LAYERS).join('|')})/`,
        pathNot: `${SRC}(frameworks/(express|fastify)/|location/maxmind/|core/load-(telemetry|jwt-signers)\\.ts|passport/|swagger/|terminus/|testing/|websockets/|client/react/)`,
      },
      to: {
        path: 'node_modules/(@nestjs/(jwt|passport|swagger|terminus|testing|websockets)|@opentelemetry/api|express-session|maxmind|passport(-jwt)?|supertest|react)/',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'client-in-browsers',
      comment: 'The client runs in browsers, where Node has no modules, and depends on nothing but React for its hook.',
      severity: 'error',
      from: { path: `${SRC}client/` },
      to: { path: '.', pathNot: `${SRC}client/|node_modules/(@types/)?react/` },
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
      name: 'cli-is-a-user',
      comment: 'The command line imports nestjs-sessions by name.',
      severity: 'error',
      from: { path: '^libs/session-cli/src/' },
      to: { path: '^libs/session/(src|test)/' },
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
