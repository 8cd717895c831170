import { CountingStore } from '../http/support/counting-store.js';
import { servicesOf } from './support/services.js';

describe('SessionService', () => {
  it('gives a session the timeouts of the options, or those of the remembered', async () => {
    const { sessions } = servicesOf({
      session: { idleTimeout: '1h', absoluteTimeout: '8h', rememberMe: { idleTimeout: '7d', absoluteTimeout: '60d' } },
    });
    const { session } = await sessions.start({ userId: 'ann' });
    expect([session.idleTimeout, session.expiresAt - session.createdAt]).toEqual([3_600_000, 8 * 3_600_000]);
    const remembered = (await sessions.start({ userId: 'ann' }, { rememberMe: true })).session;
    expect([remembered.idleTimeout, remembered.expiresAt - remembered.createdAt]).toEqual([
      7 * 86_400_000,
      60 * 86_400_000,
    ]);
  });

  it('draws secrets of the shape the options ask for', async () => {
    const idAlphabet = 'abcdefghijklmnop-_~0123456789ABC';
    const { sessions, store } = servicesOf({ security: { idLength: 40, idAlphabet } });
    const { session, cookieToken } = await sessions.start({ userId: 'ann' });
    const secret = cookieToken?.split('.')[1] ?? '';
    expect(secret).toMatch(/^[a-p\-_~0-9ABC]{40}$/);
    const live = await store.read(session.id);
    expect(JSON.stringify(live)).not.toContain(secret);
  });

  it('tokens outlive a change of secrets as long as the old one is still listed', async () => {
    const store = new CountingStore();
    const [old, next] = ['o'.repeat(32), 'n'.repeat(32)];
    const { cookieToken = '' } = await servicesOf({ store, secrets: old }).sessions.start({ userId: 'ann' });
    const authenticate = (secrets: string[]) => servicesOf({ store, secrets }).authenticator.authenticate(cookieToken);
    expect((await authenticate([old, next])).live.session.userId).toBe('ann');
    expect((await authenticate([next, old])).live.session.userId).toBe('ann');
    store.forget();
    await expect(authenticate([next])).rejects.toMatchObject({ code: 'invalid_token' });
    expect(store.commands).toEqual([]);
  });

  it('a failed sign-in leaves no half session', async () => {
    const { sessions, store } = servicesOf({ session: { maxSessionsPerUser: 1, onLimit: 'reject' } });
    const { session } = await sessions.start({ userId: 'ann' });
    await expect(sessions.start({ userId: 'ann' })).rejects.toMatchObject({
      code: 'session_limit_reached',
      sessions: [session],
    });
    await expect(sessions.start({ userId: 'bob', deviceType: 'toaster' as never })).rejects.toMatchObject({
      code: 'invalid_argument',
    });
    await expect(sessions.start({ userId: 'bob', expiresAt: 5 })).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(await store.count()).toBe(1);
  });

  it.each([0, -1, 1.5, NaN, 1001, '3'])('a limit function that returns %p starts nothing', async (max) => {
    const { sessions, store } = servicesOf({ session: { maxSessionsPerUser: () => max as number } });
    await expect(sessions.start({ userId: 'ann' })).rejects.toMatchObject({ code: 'invalid_configuration' });
    expect(await store.count()).toBe(0);
  });

  it('ends sessions only of the user it is told', async () => {
    const { sessions } = servicesOf();
    const { session } = await sessions.start({ userId: 'ann' });
    expect(await sessions.end(session.id, { userId: 'bob' })).toBe(false);
    expect(await sessions.end(session.id, { userId: 'ann' })).toBe(true);
    expect(await sessions.end(session.id)).toBe(false);
    expect(await sessions.get(session.id)).toBeNull();
  });

  it('renews only for the secret that is current', async () => {
    const { sessions, authenticator, store } = servicesOf();
    const { session, cookieToken = '' } = await sessions.start({ userId: 'ann' });
    const { presented } = await authenticator.authenticate(cookieToken);
    const renewed = await sessions.rotate(session.id, {
      presented: presented ?? undefined,
      patch: { roles: ['admin'] },
    });
    expect(renewed.session.roles).toEqual(['admin']);
    expect(renewed.refreshToken).toBeUndefined();
    store.advance(31_000);
    await expect(sessions.rotate(session.id, { presented: presented ?? undefined })).rejects.toMatchObject({
      code: 'invalid_token',
    });
    expect((await authenticator.authenticate(renewed.cookieToken ?? '')).live.session.roles).toEqual(['admin']);
    await sessions.end(session.id);
    await expect(sessions.stepUp(session.id)).rejects.toMatchObject({ code: 'session_ended' });
    await expect(sessions.rotate('nonsense')).rejects.toMatchObject({ code: 'invalid_token' });
  });
});

describe('DeviceSessionService', () => {
  it('keeps at most one session a device and so many devices a user', async () => {
    const { devices, store } = servicesOf();
    const started = [];
    for (const deviceId of ['phone', 'laptop', 'tablet', 'phone']) {
      store.advance(1);
      started.push(await devices.createDeviceSession({ userId: 'ann', deviceId }, 2));
    }
    expect((await devices.getDeviceSessions('ann')).map(({ deviceId }) => deviceId)).toEqual(['phone', 'tablet']);
    expect(started[0]).toMatchObject({ deviceId: 'phone', deviceName: 'phone', deviceType: 'unknown' });
    expect(await devices.destroyDevice('ann', 'phone')).toBe(true);
    expect(await devices.destroyDevice('ann', 'phone')).toBe(false);
    expect(await devices.destroyDevice('bob', 'tablet')).toBe(false);
    expect(await devices.getDeviceSessions('ann')).toHaveLength(1);
  });

  it('lists only sessions that name their device', async () => {
    const { devices, sessions } = servicesOf();
    await sessions.start({ userId: 'ann' });
    const device = await devices.createDeviceSession({
      userId: 'ann',
      deviceId: 'phone',
      deviceName: 'Phone',
      deviceType: 'mobile',
    });
    expect(await devices.getDeviceSessions('ann')).toEqual([device]);
  });

  it.each([':', '*', '{}', '\n', 'ü', '__proto__', '../x', 'x'.repeat(512)])(
    'a device called %j is that device and no other',
    async (deviceId) => {
      const { devices } = servicesOf();
      await devices.createDeviceSession({ userId: 'ann', deviceId: 'phone' });
      await devices.createDeviceSession({ userId: 'ann', deviceId });
      await devices.createDeviceSession({ userId: 'bob', deviceId });
      expect(await devices.destroyDevice('ann', deviceId)).toBe(true);
      expect(await devices.getDeviceSessions('ann')).toMatchObject([{ deviceId: 'phone' }]);
      expect(await devices.getDeviceSessions('bob')).toMatchObject([{ deviceId }]);
    },
  );

  it.each(['', 'x'.repeat(10_000), 5, null, ['phone']])('%j is no device id', async (deviceId) => {
    const { devices, store } = servicesOf();
    await expect(devices.createDeviceSession({ userId: 'ann', deviceId: deviceId as string })).rejects.toMatchObject({
      statusCode: 400,
    });
    expect(await store.count()).toBe(0);
  });
});
