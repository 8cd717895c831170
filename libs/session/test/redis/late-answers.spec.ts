import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import type { LiveSession } from '../../src/ports/session-store.js';
import { RedisSessionStore } from '../../src/redis/redis-session-store.js';
import { testRedisUrl } from '../support/redis-harness.js';

type Evalsha = (digest: string, keyCount: number, ...rest: (string | number | Buffer)[]) => Promise<unknown>;

/** A client whose next scripts reach the server after the instant from which they must change nothing. */
class LateClient extends Redis {
  late = 0;

  constructor() {
    super(testRedisUrl());
    const evalsha = (this as unknown as { evalshaBuffer: Evalsha }).evalshaBuffer.bind(this);
    const held: Evalsha = (digest, keyCount, ...rest) => {
      const sent = [...rest];
      if (this.late > 0) sent[keyCount + 3] = 1;
      this.late -= 1;
      return evalsha(digest, keyCount, ...sent);
    };
    Object.assign(this, { evalshaBuffer: held });
  }
}

const HASHES = { cookie: Buffer.alloc(32, 1), refresh: Buffer.alloc(32, 2) };

describe('scripts that arrive late', () => {
  let client: LateClient;
  let store: RedisSessionStore;

  beforeEach(() => {
    client = new LateClient();
    const keyPrefix = `test-${randomBytes(6).toString('hex')}:`;
    // Longer than the default: the machine may be busy, and no test here waits for it.
    store = new RedisSessionStore(client, { keyPrefix, commandTimeout: 10_000 });
  });

  afterEach(async () => {
    await store.close();
    client.disconnect();
  });

  const rotation = {
    kind: 'refresh',
    presented: { hash: HASHES.refresh, generation: 0 },
    ...{ grace: 30_000, rotateAfter: 30_000, rotateFirst: true, touch: true },
  } as const;

  it.each<[string, (session: { id: string; userId: string }) => Promise<unknown>]>([
    ['create', ({ userId }) => store.create({ userId })],
    ['touch', ({ id }) => store.touch(id)],
    ['touch with a used token', ({ id }) => store.touch(id, { slide: false, used: { kind: 'cookie', branch: 1 } })],
    ['update', ({ id }) => store.update(id, { data: { a: 1 } })],
    ['updateUser', ({ userId }) => store.updateUser(userId, { roles: ['admin'] })],
    ['rotate', ({ id }) => store.rotate(id, rotation)],
    ['regenerate', ({ id }) => store.regenerate(id, { credentials: {}, freshen: true, repeatableFor: 0 })],
    ['destroy', ({ id }) => store.destroy(id)],
    ['destroyAll', ({ userId }) => store.destroyAll(userId)],
    ['revokeToken', ({ id }) => store.revokeToken(id, `${id}.1`, store.now() + 60_000)],
    ['revokeTokens', ({ userId }) => store.revokeTokens(userId)],
  ])('%s: once late, it is tried again; late twice, it is an error and never reported as done', async (_name, run) => {
    const session = await store.create({ userId: 'ada' }, { credentials: HASHES });
    // The script is known to the server from here on.
    await run(await store.create({ userId: 'bob' }, { credentials: HASHES }));
    const before = (await store.read(session.id)) as LiveSession;
    client.late = 2;
    await expect(run(session)).rejects.toMatchObject({ code: 'store_unavailable' });
    expect({ ...(await store.read(session.id)), now: before.now }).toEqual(before);
    expect(await store.getActiveSessions('ada')).toHaveLength(1);
    client.late = 1;
    await run(session);
    expect(client.late).toBeLessThan(0);
  });
});
