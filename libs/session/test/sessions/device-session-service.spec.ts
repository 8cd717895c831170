import { LIMIT_POLICIES } from '../../src/model/limit.js';
import type { SessionModuleOptions } from '../../src/options/session-module-options.js';
import type { StoreHarness } from '../../src/store-contract/store-harness.js';
import { createMemoryHarness } from '../support/memory-harness.js';
import { redisHarness } from '../support/redis-harness.js';
import { servicesOf } from '../support/services.js';

const STORES = [
  ['memory', () => createMemoryHarness()],
  ['redis', () => redisHarness({})],
] as const;

/** Anything but what would let somebody in. */
const SECRETS = /token|secret|hash|cookie|"st_|"rt_/i;

describe.each(STORES)('DeviceSessionService on %s', (_, open) => {
  let harness: StoreHarness;
  const servicesWith = (session: SessionModuleOptions['session'] = {}) => servicesOf({ store: harness.store, session });

  beforeEach(async () => {
    harness = await open();
    await harness.store.ready();
  });
  afterEach(() => harness.close());

  it('holds one session a device: a new sign-in replaces the old one, of that user alone', async () => {
    const { devices } = await servicesWith();
    const first = await devices.createDeviceSession({ userId: 'ann', deviceId: 'phone' });
    const bobs = await devices.createDeviceSession({ userId: 'bob', deviceId: 'phone' });
    const second = await devices.createDeviceSession({
      userId: 'ann',
      deviceId: 'phone',
      deviceName: 'My phone',
      deviceType: 'mobile',
    });
    expect(first).toMatchObject({ deviceId: 'phone', deviceName: 'phone', deviceType: 'unknown' });
    expect(await devices.getDeviceSessions('ann')).toEqual([second]);
    expect(await devices.getDeviceSessions('bob')).toEqual([bobs]);
    expect(await harness.store.read(first.id)).toMatchObject({ state: 'ended', reason: 'replaced' });
  });

  it.each(LIMIT_POLICIES)('7.1.2: at maxDevices and one more, %s', async (onLimit) => {
    const { devices } = await servicesWith({ onLimit, maxSessionsPerUser: 50 });
    const ids: string[] = [];
    for (const deviceId of ['a', 'b']) {
      ids.push((await devices.createDeviceSession({ userId: 'ann', deviceId }, 2)).id);
      await harness.advance(1_000);
    }
    await harness.store.touch(ids[0] ?? '');
    const third = devices.createDeviceSession({ userId: 'ann', deviceId: 'c' }, 2);
    if (onLimit === 'reject') {
      await expect(third).rejects.toMatchObject({
        code: 'session_limit_reached',
        limit: 2,
        sessions: [{ deviceId: 'a' }, { deviceId: 'b' }],
      });
    } else {
      await third;
    }
    const left = (await devices.getDeviceSessions('ann')).map(({ deviceId }) => deviceId).sort();
    expect(left).toEqual({ 'evict-least-recent': ['a', 'c'], 'evict-oldest': ['b', 'c'], reject: ['a', 'b'] }[onLimit]);
  });

  it('7.1.2: the limit may be a function of the user, and one of a device type counts beside it', async () => {
    const { devices } = await servicesWith({
      maxSessionsPerUser: async ({ userId }) => (userId === 'ann' ? 3 : 1),
      maxSessionsPerDeviceType: { mobile: 1 },
    });
    for (const userId of ['ann', 'bob']) {
      for (const deviceType of ['mobile', 'mobile', 'desktop', 'desktop', 'desktop'] as const) {
        await devices.createDeviceSession({ userId, deviceId: `${deviceType} ${Math.random()}`, deviceType });
        await harness.advance(1_000);
      }
    }
    const typesOf = async (userId: string) =>
      (await devices.getDeviceSessions(userId)).map(({ deviceType }) => deviceType);
    expect(await typesOf('ann')).toEqual(['desktop', 'desktop', 'desktop']);
    expect(await typesOf('bob')).toEqual(['desktop']);
    await devices.createDeviceSession({ userId: 'ann', deviceId: 'p1', deviceType: 'mobile' }, 10);
    await devices.createDeviceSession({ userId: 'ann', deviceId: 'p2', deviceType: 'mobile' }, 10);
    expect((await typesOf('ann')).filter((type) => type === 'mobile')).toHaveLength(1);
  });

  it('15.4.2: of 20 parallel sign-ins on as many devices exactly maxDevices live', async () => {
    const { devices } = await servicesWith();
    await Promise.all(
      Array.from({ length: 20 }, (_each, i) => devices.createDeviceSession({ userId: 'ann', deviceId: `d${i}` }, 3)),
    );
    expect(await devices.getDeviceSessions('ann')).toHaveLength(3);
  });

  it('7.5.2: the list is the user’s own, of what lives, and shows no secret', async () => {
    const { devices, sessions } = await servicesWith();
    const phone = await devices.createDeviceSession({ userId: 'ann', deviceId: 'phone' });
    await harness.advance(20 * 60_000);
    const laptop = await devices.createDeviceSession({ userId: 'ann', deviceId: 'laptop' });
    await sessions.start({ userId: 'ann' });
    await devices.createDeviceSession({ userId: 'bob', deviceId: 'phone' });
    const list = await devices.getDeviceSessions('ann');
    expect(list.map(({ id }) => id)).toEqual([laptop.id, phone.id]);
    expect(JSON.stringify(list)).not.toMatch(SECRETS);
    await harness.advance(15 * 60_000);
    expect((await devices.getDeviceSessions('ann')).map(({ id }) => id)).toEqual([laptop.id]);
    expect(await devices.getDeviceSessions('nobody')).toEqual([]);
  });

  it('7.4.2: ends what is on a device, once, and nobody else’s', async () => {
    const { devices } = await servicesWith();
    const { id } = await devices.createDeviceSession({ userId: 'ann', deviceId: 'phone' });
    await devices.createDeviceSession({ userId: 'bob', deviceId: 'phone' });
    expect(await devices.destroyDevice('ann', 'laptop')).toBe(false);
    expect(await devices.destroyDevice('ann', 'phone', { reason: 'revoked' })).toBe(true);
    expect(await devices.destroyDevice('ann', 'phone')).toBe(false);
    expect(await harness.store.read(id)).toMatchObject({ state: 'ended', reason: 'revoked' });
    expect(await devices.getDeviceSessions('bob')).toHaveLength(1);
  });

  it.each([
    'a:b',
    '*',
    '{}',
    '{tag}',
    'line\nbreak',
    '\u0000',
    '../..',
    '__proto__',
    'constructor',
    '🦊',
    ' ',
    'x'.repeat(512),
  ])('device id %j is one device, of one user', async (deviceId) => {
    const { devices } = await servicesWith();
    await devices.createDeviceSession({ userId: 'ann', deviceId });
    const again = await devices.createDeviceSession({ userId: 'ann', deviceId });
    await devices.createDeviceSession({ userId: 'ann', deviceId: 'other' });
    await devices.createDeviceSession({ userId: 'bob', deviceId });
    expect((await harness.store.findByDevice('ann', deviceId))?.id).toBe(again.id);
    expect(await devices.destroyDevice('ann', deviceId)).toBe(true);
    expect((await devices.getDeviceSessions('ann')).map((session) => session.deviceId)).toEqual(['other']);
    expect((await devices.getDeviceSessions('bob')).map((session) => session.deviceId)).toEqual([deviceId]);
  });

  it.each([['', 'x'.repeat(10_240), 'a\ud800', 5, null, ['d'], { a: 1 }]].flat())(
    '%j is no device id',
    async (deviceId) => {
      const { devices } = await servicesWith();
      const input = { userId: 'ann', deviceId: deviceId as string };
      await expect(devices.createDeviceSession(input)).rejects.toMatchObject({ code: 'invalid_argument' });
      expect(await harness.store.getActiveSessions('ann')).toEqual([]);
    },
  );
});
