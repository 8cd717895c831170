import { Logger } from '@nestjs/common';
import type { LiveSession } from '../../src/ports/session-store.js';
import { servicesOf } from '../support/services.js';

async function started(options: Parameters<typeof servicesOf>[0] = {}) {
  const services = await servicesOf(options);
  const { session } = await services.sessions.start({ userId: 'ann' });
  services.store.forget();
  const read = async (): Promise<LiveSession> => {
    const live = await services.store.read(session.id);
    services.store.forget();
    if (live.state !== 'live') throw new Error('expected a live session');
    return live;
  };
  return { ...services, session, read };
}

beforeAll(() => Logger.overrideLogger(false));

describe('SessionToucher', () => {
  it('touches once the interval is over, and not before', async () => {
    const { toucher, store, read } = await started();
    store.advance(59_999);
    toucher.noteAccess(await read());
    await toucher.settle();
    expect(store.commands).toEqual([]);
    store.advance(1);
    toucher.noteAccess(await read());
    await toucher.settle();
    expect(store.commands).toEqual(['touch']);
  });

  it("heeds a tenth of the session's own idle timeout, which may be shorter than that of the options", async () => {
    const { toucher, store, sessions, read } = await started({
      session: { idleTimeout: '1m', rememberMe: { idleTimeout: '10m' } },
    });
    store.advance(6_000);
    toucher.noteAccess(await read());
    await toucher.settle();
    expect(store.commands).toEqual(['touch']);
    const remembered = (await sessions.start({ userId: 'bob' }, { rememberMe: true })).session;
    store.advance(5_999);
    const live = (await store.read(remembered.id)) as LiveSession;
    store.forget();
    toucher.noteAccess(live);
    expect(store.commands).toEqual([]);
  });

  it('touches a session of a shorter idle timeout than that of the options in time: else it ends while it is in use', async () => {
    const { toucher, store, sessions } = await started({ session: { rememberMe: { idleTimeout: '1m' } } });
    const { id } = (await sessions.start({ userId: 'bob' }, { rememberMe: true })).session;
    store.advance(6_000);
    const live = (await store.read(id)) as LiveSession;
    store.forget();
    toucher.noteAccess(live);
    await toucher.settle();
    expect(store.commands).toEqual(['touch']);
  });

  it('requests that read before a touch do not repeat it, whether it is under way or done', async () => {
    const { toucher, store, read } = await started();
    store.advance(60_000);
    const reads = [await read(), await read(), await read()];
    reads.slice(0, 2).forEach((live) => toucher.noteAccess(live));
    await toucher.settle();
    toucher.noteAccess(reads[2] as LiveSession);
    toucher.noteAccess(reads[0] as LiveSession);
    await toucher.settle();
    expect(store.commands).toEqual(['touch']);
  });

  it('sends no second touch while one of before is under way, however long the store takes', async () => {
    const { toucher, store, read } = await started();
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const { touch } = store;
    let touches = 0;
    store.touch = async (...args: Parameters<typeof touch>) => {
      touches += 1;
      await held;
      return touch.apply(store, args);
    };
    for (const _access of [1, 2, 3]) {
      store.advance(60_000);
      toucher.noteAccess(await read());
    }
    expect(touches).toBe(1);
    release();
    await toucher.settle();
    store.advance(60_000);
    toucher.noteAccess(await read());
    expect(touches).toBe(2);
  });

  it('tries again after a failure, which disturbs nobody', async () => {
    const { toucher, store, read, session } = await started();
    store.advance(60_000);
    store.failing.add('touch');
    const live = await read();
    toucher.noteAccess(live);
    await toucher.settle();
    store.failing.clear();
    toucher.noteAccess(await read());
    await toucher.settle();
    expect((await store.get(session.id))?.lastAccess).toBe(live.now);
  });

  it('a touch that comes after the end revives nothing', async () => {
    const { toucher, store, sessions, read, session } = await started();
    store.advance(60_000);
    const live = await read();
    await sessions.end(session.id);
    toucher.noteAccess(live);
    await toucher.settle();
    expect(await sessions.get(session.id)).toBeNull();
  });
});
