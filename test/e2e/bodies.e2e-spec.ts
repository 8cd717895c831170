import { SessionStore } from 'nestjs-sessions';
import { type Browser, USER } from './support/browser.js';
import { ADAPTERS, Sample } from './support/sample.js';

const { email, password } = USER;

/** What is wrong with each, and the name the answer must mention. */
const LOGIN: [what: string, body: unknown, field: string][] = [
  ['nothing at all', undefined, 'email'],
  ['an empty object', {}, 'password'],
  ['no email', { password }, 'email'],
  ['no password', { email }, 'password'],
  ['a number as email', { email: 5, password }, 'email'],
  ['null as email', { email: null, password }, 'email'],
  ['an array as email', { email: [email], password }, 'email'],
  ['an object as email', { email: { $ne: '' }, password }, 'email'],
  ['text that is no address', { email: 'nobody', password }, 'email'],
  ['a line break in the email', { email: `user@example.com\r\nX: y`, password }, 'email'],
  ['an oversized email', { email: `${'a'.repeat(300)}@example.com`, password }, 'email'],
  ['an empty password', { email, password: '' }, 'password'],
  ['a boolean as password', { email, password: true }, 'password'],
  ['an oversized password', { email, password: 'x'.repeat(2000) }, 'password'],
  ['a number as deviceId', { email, password, deviceId: 7 }, 'deviceId'],
  ['an empty deviceId', { email, password, deviceId: '' }, 'deviceId'],
  ['an oversized deviceId', { email, password, deviceId: 'x'.repeat(200) }, 'deviceId'],
  ['NUL in the deviceId', { email, password, deviceId: 'a\u0000b' }, 'deviceId'],
  ['CRLF in the deviceName', { email, password, deviceName: 'a\r\nb' }, 'deviceName'],
  ['text as rememberMe', { email, password, rememberMe: 'yes' }, 'rememberMe'],
  ['a field that nobody knows', { email, password, roles: ['admin'] }, 'roles'],
  ['a userId', { email, password, userId: 'u-1002' }, 'userId'],
];

const PREFERENCES: [what: string, body: unknown, field: string][] = [
  ['a number as theme', { theme: 5 }, 'theme'],
  ['an unknown theme', { theme: 'pink' }, 'theme'],
  ['an oversized language', { language: 'x'.repeat(10_000) }, 'language'],
  ['null as language', { language: null }, 'language'],
  ['a session id (15.3.3)', { id: 'x' }, 'id'],
  ['a user id (15.3.3)', { userId: 'u-1002' }, 'userId'],
  ['roles (15.3.3)', { theme: 'dark', roles: ['admin'] }, 'roles'],
];

/** Bodies that are no object, or no JSON. */
const BROKEN: [what: string, raw: string][] = [
  ['text', '"email"'],
  ['a number', '5'],
  ['null', 'null'],
  ['true', 'true'],
  ['an array', '[]'],
  ['an array of objects', '[{}]'],
  ['no JSON', '{email'],
  ['half of it', '{"email":"user@example.com"'],
  ['nothing', ''],
  ['a lone surrogate', '"\\ud800"'],
  ['deep nesting', '['.repeat(5_000)],
];

describe.each(ADAPTERS)('bodies that are not as documented, %s', (adapter) => {
  let sample: Sample;
  let browser: Browser;

  beforeAll(async () => {
    sample = await Sample.start({ adapter });
    browser = sample.browser();
    await browser.signedIn();
  });
  afterAll(() => sample.close());

  it.each(LOGIN)('POST /auth/login with %s is 400 and names the field', async (_, body, field) => {
    const reply = await sample.browser().post('/auth/login', body);
    expect(reply.status).toBe(400);
    expect(JSON.stringify(reply.body.message)).toContain(field);
    expect(reply.setCookies).toEqual([]);
  });

  it.each(PREFERENCES)('PATCH /me/preferences with %s is 400 and names the field', async (_, body, field) => {
    const reply = await browser.patch('/me/preferences', body);
    expect(reply.status).toBe(400);
    expect(JSON.stringify(reply.body.message)).toContain(field);
  });

  it.each([
    ['no password', {}],
    ['a number as password', { password: 5 }],
  ])('POST /auth/step-up with %s is 400 and names it', async (_, body) => {
    const reply = await browser.post('/auth/step-up', body);
    expect(reply.status).toBe(400);
    expect(JSON.stringify(reply.body.message)).toContain('password');
  });

  it.each(BROKEN)('%s as a body is 400', async (_, raw) => {
    for (const path of ['/auth/login', '/auth/step-up']) {
      expect([path, (await browser.send('POST', path, { raw })).status]).toEqual([path, 400]);
    }
  });

  it('refuses a body of megabytes before it reads it through', async () => {
    const raw = JSON.stringify({ email, password: 'x'.repeat(3_000_000) });
    expect((await browser.send('POST', '/auth/login', { raw })).status).toBe(413);
  });

  it('takes only JSON: a form of another site needs no permission to be sent', async () => {
    for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x']) {
      const { status } = await sample.browser().send('POST', '/auth/login', {
        raw: `email=${email}&password=${password}`,
        headers: { 'content-type': type },
      });
      expect([400, 415]).toContain(status);
    }
  });

  it('15.3.6: __proto__ in a body is harmless', async () => {
    const raw = '{"theme":"dark","__proto__":{"roles":["admin"]},"constructor":{"prototype":{"admin":true}}}';
    // Fastify refuses it, Nest's pipe strips it on Express.
    expect([200, 400]).toContain((await browser.send('PATCH', '/me/preferences', { raw })).status);
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
    expect((await browser.get('/me')).body.roles).toEqual(['user']);
  });

  it('needs no body where none is documented, whatever its type claims', async () => {
    const other = sample.browser();
    await other.signedIn();
    expect((await other.send('POST', '/auth/logout-others', { raw: '{}' })).status).toBe(200);
    expect((await other.send('POST', '/auth/logout', { headers: { 'content-type': 'application/json' } })).status).toBe(
      204,
    );
    await browser.signedIn();
  });

  it('never answered with 500, and made nobody a session', async () => {
    expect(await sample.get(SessionStore).count()).toBe(1);
    expect((await browser.get('/me')).status).toBe(200);
  });
});
