import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OpenAPIObject } from '@nestjs/swagger';
import { z } from 'zod';
import { apiDocument } from '../../src/openapi/api-document.js';
import { ADMIN, USER } from './support/browser.js';
import { ADAPTERS, Sample, SECRET } from './support/sample.js';

interface Media {
  schema: Record<string, unknown>;
  example?: unknown;
  examples?: Record<string, { value: Record<string, unknown> }>;
}
interface Operation {
  summary?: string;
  tags?: string[];
  responses: Record<string, { content?: Record<string, Media> }>;
}

const committed = JSON.parse(readFileSync(join(process.cwd(), 'docs/openapi.json'), 'utf8')) as OpenAPIObject;
const operations = Object.entries(committed.paths).flatMap(([path, item]) =>
  Object.entries(item as Record<string, Operation>).map(([method, operation]) => ({
    name: `${method.toUpperCase()} ${path}`,
    operation,
  })),
);

function mediaOf(name: string, status: number, type = 'application/json'): Media {
  const media = operations.find((each) => each.name === name)?.operation.responses[status]?.content?.[type];
  if (!media) throw new Error(`docs/openapi.json has no ${status} of ${name}`);
  return media;
}

/** What a schema of the document says about a value: nothing, or what is wrong with it. */
function faultsOf(schema: Record<string, unknown>, value: unknown): unknown[] {
  const text = JSON.stringify({ ...schema, definitions: committed.components?.schemas });
  const parsed = JSON.parse(text.replaceAll('#/components/schemas/', '#/definitions/')) as z.core.JSONSchema.JSONSchema;
  const result = z.fromJSONSchema(parsed, { defaultTarget: 'openapi-3.0' }).safeParse(value);
  return result.success ? [] : result.error.issues;
}

describe('docs/openapi.json', () => {
  it.each(ADAPTERS)('is what the application says of itself on %s; if not: npm run openapi', async (adapter) => {
    const sample = await Sample.start({ adapter });
    try {
      expect(JSON.parse(JSON.stringify(apiDocument(sample.app)))).toEqual(committed);
      expect((await sample.browser().get('/docs/openapi.json')).body).toEqual(committed);
    } finally {
      await sample.close();
    }
  });

  it.each(operations)('$name has a summary, and an example of each answer that fits its schema', ({ operation }) => {
    expect([operation.summary, operation.tags?.length]).toEqual([expect.any(String), 1]);
    expect(Object.keys(operation.responses).some((status) => status.startsWith('2'))).toBe(true);
    for (const { content = {} } of Object.values(operation.responses)) {
      for (const [type, { schema, example, examples = {} }] of Object.entries(content)) {
        const values = [
          ...(example === undefined ? [] : [example]),
          ...Object.values(examples).map(({ value }) => value),
        ];
        expect([type, values.length > 0]).toEqual([type, true]);
        for (const value of values) expect(faultsOf(schema, value)).toEqual([]);
      }
    }
  });

  it('would not accept any answer', () => {
    const { schema } = mediaOf('GET /sessions', 200);
    expect(faultsOf(schema, [{ id: 5 }])).not.toEqual([]);
    expect(faultsOf(schema, {})).not.toEqual([]);
  });
});

describe.each(ADAPTERS)('the answers of the sample on %s are those of its document', (adapter) => {
  let sample: Sample;

  beforeAll(async () => {
    sample = await Sample.start({ adapter });
  });
  afterAll(() => sample.close());

  it('signing in, and what a user reads', async () => {
    const browser = sample.browser();
    const login = await browser.post('/auth/login', USER);
    const answers = [
      ['POST /auth/login', login],
      ['POST /auth/step-up', await browser.post('/auth/step-up', { password: USER.password })],
      ['GET /me', await browser.get('/me')],
      ['PATCH /me/preferences', await browser.patch('/me/preferences', { theme: 'dark' })],
      ['GET /sessions', await browser.get('/sessions')],
      ['GET /sessions/history', await browser.get('/sessions/history')],
      ['POST /auth/logout-others', await browser.post('/auth/logout-others')],
      ['GET /health', await browser.get('/health')],
      ['GET /.well-known/jwks.json', await browser.get('/.well-known/jwks.json')],
    ] as const;
    for (const [name, { status, body }] of answers)
      expect([name, status, faultsOf(mediaOf(name, 200).schema, body)]).toEqual([name, 200, []]);
  });

  it('what an administrator reads', async () => {
    const browser = sample.browser();
    await browser.signedIn(ADMIN);
    const users = await browser.get('/admin/users?query=user');
    expect([users.status, faultsOf(mediaOf('GET /admin/users', 200).schema, users.body)]).toEqual([200, []]);
    const acting = await browser.post('/admin/users/u-1001/impersonate');
    expect(faultsOf(mediaOf('POST /admin/users/{userId}/impersonate', 200).schema, acting.body)).toEqual([]);
  });

  it('refusals, word by word', async () => {
    const [stranger, user, signedOut] = [sample.browser(), sample.browser(), sample.browser()];
    await user.signedIn();
    await signedOut.signedIn();
    const copy = signedOut.copy();
    await signedOut.post('/auth/logout');
    const answers = [
      ['GET /me', 'session_required', await stranger.get('/me')],
      ['GET /me', 'session_ended', await copy.get('/me')],
      ['GET /admin/users', 'insufficient_scope', await user.get('/admin/users')],
      ['POST /auth/login', 'wrong_credentials', await stranger.post('/auth/login', { ...USER, password: 'wrong' })],
      ['POST /auth/login', 'bad_request', await stranger.post('/auth/login', { email: USER.email })],
      ['DELETE /sessions/{id}', 'not_found', await user.delete('/sessions/nothing')],
      ['DELETE /devices/{deviceId}', 'not_found', await user.delete('/devices/nothing')],
    ] as const;
    for (const [name, key, { status, body }] of answers) {
      const { schema, examples } = mediaOf(name, status);
      expect([name, key, body, faultsOf(schema, body)]).toEqual([name, key, examples?.[key]?.value, []]);
    }
  });

  it('serves the page from files of its own, under a policy that lets no other script run', async () => {
    const browser = sample.browser();
    const { status, headers, text } = await browser.get('/docs');
    expect([status, headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    const policy = (headers.get('content-security-policy') ?? '').split('; ');
    expect(policy).toEqual(expect.arrayContaining(["default-src 'none'", "script-src 'self'", "style-src 'self'"]));
    expect(policy.join()).not.toMatch(/unsafe-eval|http|\*/);
    const files = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file = '']) => file);
    expect(files.length).toBeGreaterThan(3);
    for (const file of files) expect([file, (await browser.get(file)).status]).toEqual([file, 200]);
    for (const path of ['/docs/package.json', '/docs/..%2findex.html', '/docs/README.md'])
      expect([path, (await browser.get(path)).status]).toEqual([path, 404]);
    // Its looser rules about styles are those of this page alone.
    expect((await browser.get('/')).headers.get('content-security-policy')).not.toContain('unsafe');
  });
});

it('names the cookie as the application has it', async () => {
  const sample = await Sample.start({ env: { NODE_ENV: 'production', DEMO_USERS: '1', SESSION_SECRET: SECRET } });
  try {
    const schemes = apiDocument(sample.app).components?.securitySchemes;
    expect(schemes).toMatchObject({ 'session-cookie': { name: '__Host-session' } });
  } finally {
    await sample.close();
  }
});
