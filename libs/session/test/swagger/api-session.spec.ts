import { Controller, Get, Post, UseGuards, type Type } from '@nestjs/common';
import { ApiSecurity, DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import {
  HTTP_STATUS,
  Public,
  RequireDpop,
  SessionError,
  SessionGuard,
  type SessionErrorCode,
} from '../../src/index.js';
import { exampleOf } from '../../src/swagger/error-examples.js';
import { addSessionAuth, ApiSession, ApiSessionErrors } from '../../src/swagger/index.js';
import { closeApps, PLATFORMS, startApp, type Platform } from '../support/app.js';

@ApiSession()
@UseGuards(SessionGuard)
@Controller('account')
class AccountController {
  @Get()
  account(): object {
    return {};
  }
}

@Controller()
class SignInController {
  @Public()
  @ApiSession({ transports: ['cookie'], codes: ['session_limit_reached'] })
  @Post('login')
  login(): void {
    return undefined;
  }

  @Public()
  @ApiSessionErrors({
    codes: ['invalid_request', 'store_unavailable'],
    errors: [{ statusCode: 400, error: 'Bad Request', message: ['name: must be text'] }],
  })
  @Post('register')
  register(): void {
    return undefined;
  }
}

afterEach(closeApps);

const jwt = { issuer: 'https://issuer.example', audience: 'https://api.example' };

async function documentOf(
  platform: Platform,
  session: object,
  controllers: Type[] = [AccountController, SignInController],
): Promise<OpenAPIObject> {
  const { app } = await startApp({ platform, controllers, session });
  return SwaggerModule.createDocument(app, addSessionAuth(new DocumentBuilder(), app).build());
}

/** As `documentOf`, where `addSessionAuth` gets the finished document. */
async function fittedDocumentOf(session: object, controllers?: Type[]): Promise<OpenAPIObject> {
  const { app } = await startApp({
    platform: 'express',
    controllers: controllers ?? [AccountController, SignInController],
    session,
  });
  const key = { type: 'apiKey', in: 'header', name: 'x-key' } as const;
  const base = new DocumentBuilder().addApiKey(key, 'key').build();
  return addSessionAuth(SwaggerModule.createDocument(app, base), app);
}

/** The codes of an answer, each of which has its example. */
function codesOf(document: OpenAPIObject, path: string, method: 'get' | 'post' = 'get', status = '401'): string[] {
  const answer = document.paths[path]?.[method]?.responses[status] as unknown as Answer & {
    content: Record<string, { examples: object }>;
  };
  const { schema, examples } = answer.content['application/json'] ?? { schema: null, examples: {} };
  expect(Object.keys(examples)).toEqual(schema?.properties.code.enum);
  return Object.keys(examples);
}

/** Every scheme that a route refers to is declared: a document is invalid otherwise. */
function expectDeclared({ paths, components }: OpenAPIObject): void {
  const used = Object.values(paths).flatMap((item) =>
    [item.get, item.post].flatMap((operation) => (operation?.security ?? []).flatMap((each) => Object.keys(each))),
  );
  expect(Object.keys(components?.securitySchemes ?? {})).toEqual(expect.arrayContaining(used));
  expect(used.length).toBeGreaterThan(0);
}

interface Answer {
  content: Record<string, { schema: { properties: { code: { enum: SessionErrorCode[] } } } }>;
}

describe.each(PLATFORMS)('@ApiSession() on %s', (platform) => {
  it('names both ways in, and every error with its codes', async () => {
    const { components, paths } = await documentOf(platform, { jwt });
    expect(components?.securitySchemes).toMatchObject({
      'session-cookie': { type: 'apiKey', in: 'cookie', name: '__Host-session' },
      'session-bearer': { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
    });
    const route = paths['/account']?.get;
    // Two requirements are alternatives; one with two schemes would ask for both.
    expect(route?.security).toHaveLength(2);
    expect(route?.security).toEqual(expect.arrayContaining([{ 'session-cookie': [] }, { 'session-bearer': [] }]));
    const codes = Object.entries(route?.responses ?? {}).flatMap(([status, answer]) => {
      // Each answer of these is written out, with a schema; OpenAPI also allows references.
      const schema = (answer as unknown as Answer).content?.['application/json']?.schema;
      return (schema?.properties.code.enum ?? []).map((code) => [code, Number(status)] as const);
    });
    expect(codes.length).toBeGreaterThan(10);
    for (const [code, status] of codes) expect([code, status]).toEqual([code, HTTP_STATUS[code]]);
    expect(route?.responses['401']).toMatchObject({ headers: { 'WWW-Authenticate': {} } });
  });

  it('takes the name of the cookie from the options, and further codes of a route', async () => {
    const { components, paths } = await documentOf(platform, { cookie: { name: 'sid', secure: false } });
    expect(components?.securitySchemes).toEqual({
      'session-cookie': expect.objectContaining({ name: 'sid' }) as object,
    });
    const route = paths['/login']?.post;
    expect(route?.security).toEqual([{ 'session-cookie': [] }]);
    expect(Object.keys(route?.responses ?? {})).toContain('409');
  });

  it('puts errors of the application beside its own, with an example of each', async () => {
    const { paths } = await documentOf(platform, { jwt });
    const route = paths['/register']?.post;
    expect(route?.security).toBeUndefined();
    expect(Object.keys(route?.responses ?? {})).toEqual(['400', '503']);
    expect(route?.responses['400']).toMatchObject({
      content: {
        'application/json': {
          schema: { required: ['statusCode', 'error', 'message'], properties: { code: { enum: ['invalid_request'] } } },
          examples: {
            invalid_request: { value: exampleOf('invalid_request') },
            bad_request: { value: { statusCode: 400, error: 'Bad Request', message: ['name: must be text'] } },
          },
        },
      },
    });
    expect(route?.responses['503']).toMatchObject({ headers: { 'Retry-After': {} } });
  });
});

@ApiSession({ transports: ['dpop'] })
@UseGuards(SessionGuard)
@Controller('transfers')
class TransfersController {
  @RequireDpop()
  @Post()
  transfer(): void {
    return undefined;
  }
}

/** Beside ours, a scheme of the application's own that is needed too. */
@UseGuards(SessionGuard)
@Controller('partners')
class PartnersController {
  @ApiSecurity({ key: [], 'session-bearer': [] })
  @Get()
  partners(): object {
    return {};
  }
}

describe('tokens that are bound to keys, in the document', () => {
  const dpop = { type: 'http', scheme: 'DPoP' };

  it('have a scheme where the option is on, and none where it is off', async () => {
    const on = await documentOf('express', { jwt: { ...jwt, dpop: 'optional' } });
    expect(on.components?.securitySchemes).toMatchObject({ 'session-bearer': {}, 'session-dpop': dpop });
    const off = await documentOf('express', { jwt });
    expect(Object.keys(off.components?.securitySchemes ?? {})).toEqual(['session-cookie', 'session-bearer']);
  });

  it('stand in each route, with their errors, where the document was given', async () => {
    const document = await fittedDocumentOf({ jwt: { ...jwt, dpop: 'optional' } });
    expect(document.paths['/account']?.get?.security).toEqual([
      { 'session-cookie': [] },
      { 'session-bearer': [] },
      { 'session-dpop': [] },
    ]);
    expect(codesOf(document, '/account')).toEqual(expect.arrayContaining(['invalid_dpop_proof', 'use_dpop_nonce']));
    expect(codesOf(document, '/account')).not.toContain('dpop_required');
    // What takes the cookie alone, and what is public, says nothing of it.
    expect(document.paths['/login']?.post?.security).toEqual([{ 'session-cookie': [] }]);
    expect(codesOf(document, '/login', 'post')).not.toContain('use_dpop_nonce');
    expect(document.paths['/register']?.post?.security).toBeUndefined();
    expect(document.components?.securitySchemes).toHaveProperty('key');
    expectDeclared(document);
  });

  it('replace bearer tokens where they are required', async () => {
    const session = { jwt: { ...jwt, dpop: 'required' } };
    const document = await fittedDocumentOf(session, [AccountController, PartnersController, TransfersController]);
    expect(document.components?.securitySchemes).not.toHaveProperty('session-bearer');
    expect(document.paths['/account']?.get?.security).toEqual([{ 'session-cookie': [] }, { 'session-dpop': [] }]);
    expect(codesOf(document, '/account')).toContain('dpop_required');
    expect(document.paths['/partners']?.get?.security).toEqual([{ key: [], 'session-dpop': [] }]);
    expect(document.paths['/transfers']?.post?.security).toEqual([{ 'session-dpop': [] }]);
    expect(codesOf(document, '/transfers', 'post')).toContain('dpop_required');
    expectDeclared(document);
  });

  it('are not named without tokens, nor are bearer tokens', async () => {
    const document = await fittedDocumentOf({});
    expect(document.paths['/account']?.get?.security).toEqual([{ 'session-cookie': [] }]);
    expect(codesOf(document, '/account')).not.toContain('device_binding_required');
    expectDeclared(document);
  });

  it('a cookie that is bound to a device has its error', async () => {
    const document = await fittedDocumentOf({ deviceBound: true });
    expect(codesOf(document, '/account')).toContain('device_binding_required');
  });
});

it.each(Object.keys(HTTP_STATUS) as SessionErrorCode[])('the example of %s is a body that the error has', (code) => {
  const example = exampleOf(code);
  expect(new SessionError(code, String(example.message)).getResponse()).toEqual(example);
});
