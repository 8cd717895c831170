import { MemorySessionStore } from 'nestjs-sessions';
import { USER } from './support/browser.js';
import { ADAPTERS, newBrowser, Sample, SECRET } from './support/sample.js';

const PRODUCTION = { NODE_ENV: 'production', SESSION_SECRET: SECRET, DEMO_USERS: '1' };

describe.each(ADAPTERS)('the sample on %s', (adapter) => {
  let sample: Sample | undefined;
  afterEach(async () => {
    await sample?.close();
    sample = undefined;
  });

  it('7.5.2: ending sessions wants a proof that is at most five minutes old', async () => {
    let offset = 0;
    const store = new MemorySessionStore({ clock: () => Date.now() + offset });
    sample = await Sample.start({ adapter, options: (given) => ({ ...given, store }) });
    const [here, there] = [sample.browser(), sample.browser()];
    const mine = (await here.signIn()).body as { session: { id: string } };
    const other = (await there.signIn()).body as { session: { id: string } };
    offset = 5 * 60_000 + 1_000;
    const refused = [
      await here.delete(`/sessions/${other.session.id}`),
      await here.delete('/devices/laptop'),
      await here.post('/auth/logout-others'),
      await here.post('/auth/logout-all'),
    ];
    for (const { status, body } of refused)
      expect([status, (body as { code: string }).code]).toEqual([403, 'reauthentication_required']);
    expect((await there.get('/me')).status).toBe(200);
    expect((await here.post('/auth/step-up', { password: USER.password })).status).toBe(200);
    expect((await here.delete(`/sessions/${other.session.id}`)).status).toBe(204);
    expect((await there.get('/me')).status).toBe(401);
    expect(mine.session.id).not.toBe(other.session.id);
  });

  it('a flood of sign-ins is 503 beyond the queue, and everybody else goes on', async () => {
    sample = await Sample.start({ adapter });
    const member = sample.browser();
    await member.signIn();
    const flood = Array.from({ length: 90 }, (_, number) =>
      newBrowser(sample?.url ?? '').post('/auth/login', { email: `nobody-${number}@example.com`, password: 'x' }),
    );
    const during = await member.get('/me');
    const statuses = (await Promise.all(flood)).map(({ status }) => status);
    expect(during.status).toBe(200);
    expect(statuses.filter((status) => status === 503).length).toBeGreaterThan(0);
    expect(statuses.filter((status) => status === 401).length).toBeGreaterThan(40);
    expect(statuses.filter((status) => ![401, 429, 503].includes(status))).toEqual([]);
    expect((await sample.browser().signIn()).status).toBe(200);
  }, 60_000);

  it('one network guessing at many accounts is 429 after a hundred failures', async () => {
    sample = await Sample.start({ adapter });
    const browser = sample.browser();
    const statuses: number[] = [];
    for (let batch = 0; batch < 5; batch++) {
      const guesses = Array.from({ length: 25 }, (_, number) =>
        browser.post('/auth/login', { email: `someone-${batch}-${number}@example.com`, password: 'password' }),
      );
      statuses.push(...(await Promise.all(guesses)).map(({ status }) => status));
    }
    expect(statuses.slice(0, 75)).toEqual(Array(75).fill(401));
    expect(statuses.filter((status) => status === 401)).toHaveLength(100);
    expect(statuses.filter((status) => status === 429)).toHaveLength(25);
  }, 60_000);

  it.each(['/auth/login', '/auth/refresh'])('POST %s without a body is 400', async (path) => {
    sample = await Sample.start({ adapter });
    const { status } = await fetch(`${sample.url}${path}`, { method: 'POST' });
    expect(status).toBe(400);
  });

  it('/metrics is closed in production, and opens with the token alone', async () => {
    sample = await Sample.start({ adapter, env: PRODUCTION });
    expect((await sample.browser().get('/metrics')).status).toBe(404);
    await sample.close();
    const token = 'a-token-for-metrics-1';
    sample = await Sample.start({ adapter, env: { ...PRODUCTION, METRICS_TOKEN: token } });
    const metrics = async (authorization: string): Promise<number> =>
      (await sample?.browser().get('/metrics', { headers: { authorization } }))?.status ?? 0;
    expect(await metrics(`Bearer ${token}x`)).toBe(401);
    expect(await metrics('Bearer')).toBe(401);
    expect((await sample.browser().get('/metrics')).status).toBe(401);
    expect(await metrics(`Bearer ${token}`)).toBe(200);
  });
});
