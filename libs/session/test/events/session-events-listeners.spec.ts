import { Logger } from '@nestjs/common';
import { firstValueFrom, take, toArray } from 'rxjs';
import { MemorySessionStore } from '../../src/memory/memory-session-store.js';
import { SessionEvents } from '../../src/events/session-events.js';

beforeAll(() => Logger.overrideLogger(false));

describe('SessionEvents', () => {
  it('tells of what happens, as observable and to listeners, with the reason of an end', async () => {
    const store = new MemorySessionStore();
    const events = new SessionEvents(store);
    const all = firstValueFrom(events.all$.pipe(take(3), toArray()));
    const ended = firstValueFrom(events.of('ended'));
    const heard: string[] = [];
    const stop = events.on('created', ({ userId }) => heard.push(userId));
    const { id } = await store.create({ userId: 'ann' });
    await store.destroy(id, { reason: 'admin' });
    stop();
    await store.create({ userId: 'bob' });
    expect((await all).map(({ type, userId }) => [type, userId])).toEqual([
      ['created', 'ann'],
      ['ended', 'ann'],
      ['created', 'bob'],
    ]);
    expect(await ended).toMatchObject({ type: 'ended', sessionId: id, reason: 'admin', remote: false });
    expect(heard).toEqual(['ann']);
  });

  it('a listener that throws disturbs neither the operation nor other listeners', async () => {
    const store = new MemorySessionStore();
    const events = new SessionEvents(store);
    const heard: string[] = [];
    events.on('created', () => {
      throw new Error('on purpose');
    });
    events.on('created', ({ userId }) => heard.push(userId));
    await expect(store.create({ userId: 'ann' })).resolves.toMatchObject({ userId: 'ann' });
    expect(heard).toEqual(['ann']);
  });

  it('passes on what the application publishes', () => {
    const events = new SessionEvents(new MemorySessionStore());
    const heard: unknown[] = [];
    events.on('new-device', (event) => heard.push(event));
    const event = { type: 'new-device', at: 1, sessionId: 's', userId: 'u', remote: false, deviceId: 'd' } as const;
    events.publish(event);
    expect(heard).toEqual([event]);
  });

  it('an unsubscribed observer hears nothing more, and nobody after shutdown', async () => {
    const store = new MemorySessionStore();
    const events = new SessionEvents(store);
    const heard: string[] = [];
    const subscription = events.all$.subscribe(({ userId }) => heard.push(`observer ${userId}`));
    events.on('created', ({ userId }) => heard.push(`listener ${userId}`));
    subscription.unsubscribe();
    await store.create({ userId: 'ann' });
    events.onApplicationShutdown();
    await store.create({ userId: 'bob' });
    expect(heard).toEqual(['listener ann']);
  });
});
