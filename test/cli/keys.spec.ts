import { randomBytes } from 'node:crypto';
import { MemorySessionStore, type JwtKeyOptions, type Session } from 'nestjs-sessions';
import { sessionMiddleware, type StandaloneSessions } from 'nestjs-sessions/standalone';
import { cli } from './support/cli.js';

interface Rotation {
  found: number;
  steps: { when: string; value: string }[];
}

const SECRET = randomBytes(48).toString('base64');

async function rotation(args: string[], variables: Record<string, string> = {}): Promise<Rotation> {
  const { code, out } = await cli(['keys', 'rotate', '--json', ...args], { variables });
  expect(code).toBe(0);
  return JSON.parse(out) as Rotation;
}

describe('keys rotate', () => {
  it('prints neither the current secret nor a new one unless asked', async () => {
    const variables = { SESSION_SECRET: SECRET };
    const plain = await cli(['keys', 'rotate'], { variables });
    expect(plain).toMatchObject({ code: 0, err: '' });
    expect(plain.out).toContain('SESSION_SECRET=<current>,<new>');
    expect(plain.out).toContain('30 d later');
    expect(plain.out + (await cli(['keys', 'rotate', '--json'], { variables })).out).not.toContain(SECRET);
    expect((await cli(['keys', 'rotate', '--longest-session', '12h'], { variables })).out).toContain('12 h later');
    expect((await cli(['keys', 'rotate', '--longest-session', 'soon'], { variables })).code).toBe(64);
    const broken = await cli(['keys', 'rotate', '--jwt', 'ES256'], { variables: { JWT_KEYS: `[{"kid":"${SECRET}"` } });
    expect([broken.code, broken.err.includes(SECRET)]).toEqual([64, false]);
  }, 60_000);

  it('gives values with which nobody is signed out while instances change one after the other', async () => {
    const { found, steps } = await rotation(['--show'], { SESSION_SECRET: SECRET });
    expect(found).toBe(1);
    const values = [SECRET, ...steps.map(({ value }) => value)];
    expect(values.map((value) => value.split(',').length)).toEqual([1, 2, 2, 1]);
    const store = new MemorySessionStore();
    const instances: StandaloneSessions[] = [];
    for (const value of values)
      instances.push(await sessionMiddleware({ store, secrets: value.split(','), events: { log: false } }));
    try {
      const cookieOf = async (step: number): Promise<string> =>
        (await instances[step]?.sessions.start({ userId: `u-${step}` }))?.cookieToken ?? '';
      const isAccepted = async (cookie: string, step: number): Promise<boolean | undefined> =>
        instances[step]?.sessions.authenticate(cookie).then(
          () => true,
          () => false,
        );
      // While instances restart, those of a step and of the one before run beside each other.
      for (let step = 1; step < values.length; step += 1) {
        expect(await isAccepted(await cookieOf(step - 1), step)).toBe(true);
        expect(await isAccepted(await cookieOf(step), step - 1)).toBe(true);
      }
      // Why step 1 is needed, and why the old secret stays for a while.
      expect(await isAccepted(await cookieOf(2), 0)).toBe(false);
      expect(await isAccepted(await cookieOf(1), 3)).toBe(false);
      const [leaked] = (await rotation(['--show', '--leaked'], { SESSION_SECRET: SECRET })).steps;
      expect(leaked?.value).not.toContain(SECRET);
      expect(leaked?.value).not.toContain(',');
    } finally {
      await Promise.all(instances.map(async (instance) => instance.close()));
    }
  }, 60_000);

  it('does the same for the keys of access tokens, of which the old one keeps its public half alone', async () => {
    const jwt = ['--show', '--jwt', 'ES256'];
    const [first] = (await rotation([...jwt, '--leaked'])).steps;
    const before = keysIn(first?.value ?? '');
    expect(before).toMatchObject([{ alg: 'ES256', privateKey: expect.stringContaining('PRIVATE KEY') }]);
    const { steps } = await rotation(jwt, { JWT_KEYS: JSON.stringify(before) });
    const lists = [before, ...steps.map(({ value }) => keysIn(value))];
    expect(lists.map((keys) => keys.map((key) => (key.privateKey === undefined ? 'verifies' : 'signs')))).toEqual([
      ['signs'],
      ['signs', 'signs'],
      ['signs', 'verifies'],
      ['signs'],
    ]);
    const store = new MemorySessionStore();
    const session: Session = await store.create({ userId: 'ann' });
    const instances = await Promise.all(
      lists.map(async (keys) =>
        sessionMiddleware({
          store,
          secrets: SECRET,
          jwt: { issuer: 'https://issuer.example', audience: 'api', keys },
          events: { log: false },
        }),
      ),
    );
    try {
      const signs = (step: number): string => instances[step]?.tokens.issue(session).accessToken ?? '';
      const accepts = async (step: number, token: string): Promise<boolean | undefined> =>
        instances[step]?.tokens.verify(token).then(
          () => true,
          () => false,
        );
      for (let step = 1; step < lists.length; step += 1) {
        expect(await accepts(step, signs(step - 1))).toBe(true);
        expect(await accepts(step - 1, signs(step))).toBe(true);
      }
      expect(await accepts(0, signs(2))).toBe(false);
      expect(await accepts(3, signs(1))).toBe(false);
    } finally {
      await Promise.all(instances.map(async (instance) => instance.close()));
    }
  }, 60_000);
});

/** The list in a value that is quoted for a shell. */
function keysIn(value: string): JwtKeyOptions[] {
  return JSON.parse(value.replace(/^'|'$/g, '')) as JwtKeyOptions[];
}
