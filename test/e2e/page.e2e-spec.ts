import { ADMIN, USER } from './support/browser.js';
import { ADAPTERS, Sample } from './support/sample.js';

describe.each(ADAPTERS)('the page and what it needs, %s', (adapter) => {
  let sample: Sample;

  beforeAll(async () => {
    sample = await Sample.start({ adapter });
  });
  afterAll(() => sample.close());

  it('is served under a policy that lets no script but its own files run (ASVS 5.0, 3.4.3)', async () => {
    const { status, headers, text } = await sample.browser().get('/');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy.split('; ')).toEqual(
      expect.arrayContaining(["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"]),
    );
    expect(policy).not.toMatch(/unsafe|\*|http/);
    expect(text).not.toMatch(/<script(?![^>]*\ssrc="\/)|<style|\sstyle=|\son[a-z]+=/);
    for (const [, address = ''] of text.matchAll(/(?:src|href)="([^"]+)"/g)) expect(address).toMatch(/^\//);
  });

  it('comes with files of the right types, the browser client among them', async () => {
    for (const [path, type] of [
      ['/assets/page.js', 'text/javascript; charset=utf-8'],
      ['/assets/page.css', 'text/css; charset=utf-8'],
      ['/assets/icon.svg', 'image/svg+xml'],
      ['/client/index.js', 'text/javascript; charset=utf-8'],
      ['/client/session-client.js', 'text/javascript; charset=utf-8'],
    ] as const) {
      const { status, headers, text } = await sample.browser().get(path);
      expect([path, status, headers.get('content-type')]).toEqual([path, 200, type]);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      for (const [, name = ''] of text.matchAll(/from '([^']+)'/g)) expect(name).toMatch(/^(\.\/|\/client\/)/);
    }
  });

  it.each(['/assets/..%2fpackage.json', '/assets/nothing.js', '/client/react', '/client/index.d.ts', '/assets/%00'])(
    'has no file %s',
    async (path) => {
      expect((await sample.browser().get(path)).status).toBeGreaterThanOrEqual(400);
      expect((await sample.browser().get(path)).status).toBeLessThan(500);
    },
  );

  it('lets administrators find users, end one session, act as a user and return', async () => {
    const [user, admin] = [sample.browser(), sample.browser()];
    const { id } = await user.signedIn();
    await admin.signedIn(ADMIN);
    expect((await admin.get('/admin/users?query=USER%40')).body).toEqual([
      { id: 'u-1001', email: USER.email, roles: ['user'] },
    ]);
    expect((await admin.get('/admin/users')).body).toHaveLength(3);
    expect((await admin.get('/admin/users?query=a&query=b')).status).toBe(200);
    const acting = await admin.post('/admin/users/u-1001/impersonate');
    expect([acting.status, acting.body.session.actor]).toEqual([200, 'u-1002']);
    expect((await admin.get('/me')).body.email).toBe(USER.email);
    expect((await admin.get('/admin/users')).status).toBe(403);
    expect((await admin.post('/auth/end-impersonation')).status).toBe(200);
    expect((await admin.get('/me')).body.email).toBe(ADMIN.email);

    expect((await admin.delete(`/admin/users/u-1003/sessions/${id}`)).status).toBe(404);
    expect((await admin.delete(`/admin/users/u-1001/sessions/${id}`)).status).toBe(204);
    expect((await user.get('/me')).body.code).toBe('session_revoked');
    expect((await admin.post('/admin/users/nobody/impersonate')).status).toBe(404);
  });

  it('keeps these routes from everybody else', async () => {
    const user = sample.browser();
    await user.signedIn();
    expect((await user.get('/admin/users')).status).toBe(403);
    expect((await user.post('/admin/users/u-1002/impersonate')).status).toBe(403);
    expect((await user.delete('/admin/users/u-1002/sessions/x')).status).toBe(403);
    expect((await sample.browser().get('/admin/users')).status).toBe(401);
    expect((await user.post('/auth/end-impersonation')).body.code).toBe('invalid_request');
  });
});
