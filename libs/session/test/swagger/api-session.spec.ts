import { Controller, Get, Post, UseGuards } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { HTTP_STATUS, Public, SessionError, SessionGuard, type SessionErrorCode } from '../../src/index.js';
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

async function documentOf(platform: Platform, session: object): Promise<OpenAPIObject> {
  const { app } = await startApp({ platform, controllers: [AccountController, SignInController], session });
  return SwaggerModule.createDocument(app, addSessionAuth(new DocumentBuilder(), app).build());
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

it.each(Object.keys(HTTP_STATUS) as SessionErrorCode[])('the example of %s is a body that the error has', (code) => {
  const example = exampleOf(code);
  expect(new SessionError(code, String(example.message)).getResponse()).toEqual(example);
});
