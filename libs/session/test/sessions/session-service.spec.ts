import { CountingStore } from '../support/counting-store.js';
import { servicesOf } from '../support/services.js';
import { secretOf } from '../support/secrets.js';

describe('SessionService', () => {
  it('gives a session the timeouts of the options, or those of the remembered', async () => {
    const { sessions } = await servicesOf({
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
    const { sessions, store } = await servicesOf({ security: { idLength: 40, idAlphabet } });
    const { session, cookieToken } = await sessions.start({ userId: 'ann' });
    const secret = cookieToken?.split('.')[1] ?? '';
    expect(secret).toMatch(/^[a-p\-_~0-9ABC]{40}$/);
    const live = await store.read(session.id);
    expect(JSON.stringify(live)).not.toContain(secret);
  });

  it('tokens outlive a change of secrets as long as the old one is still listed', async () => {
    const store = new CountingStore();
    const [old, next] = [secretOf('o'), secretOf('n')];
    const { cookieToken = '' } = await (await servicesOf({ store, secrets: old })).sessions.start({ userId: 'ann' });
    const authenticate = async (secrets: string[]) =>
      (await servicesOf({ store, secrets })).authenticator.authenticate(cookieToken);
    expect((await authenticate([old, next])).live.session.userId).toBe('ann');
    expect((await authenticate([next, old])).live.session.userId).toBe('ann');
    store.forget();
    await expect(authenticate([next])).rejects.toMatchObject({ code: 'invalid_token' });
    expect(store.commands).toEqual([]);
  });

  it('a failed sign-in leaves no half session', async () => {
    const { sessions, store } = await servicesOf({ session: { maxSessionsPerUser: 1, onLimit: 'reject' } });
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
    const { sessions, store } = await servicesOf({ session: { maxSessionsPerUser: () => max as number } });
    await expect(sessions.start({ userId: 'ann' })).rejects.toMatchObject({ code: 'invalid_configuration' });
    expect(await store.count()).toBe(0);
  });

  it('ends sessions only of the user it is told', async () => {
    const { sessions } = await servicesOf();
    const { session } = await sessions.start({ userId: 'ann' });
    expect(await sessions.end(session.id, { userId: 'bob' })).toBe(false);
    expect(await sessions.end(session.id, { userId: 'ann' })).toBe(true);
    expect(await sessions.end(session.id)).toBe(false);
    expect(await sessions.get(session.id)).toBeNull();
  });

  it('regenerates only for the secret that is current', async () => {
    const { sessions, authenticator, store } = await servicesOf();
    const { session, cookieToken = '' } = await sessions.start({ userId: 'ann' });
    const { presented } = await authenticator.authenticate(cookieToken);
    const regenerated = await sessions.regenerate(session.id, {
      presented: presented ?? undefined,
      patch: { roles: ['admin'] },
    });
    expect(regenerated.session.roles).toEqual(['admin']);
    expect(regenerated.refreshToken).toBeUndefined();
    store.advance(31_000);
    await expect(sessions.regenerate(session.id, { presented: presented ?? undefined })).rejects.toMatchObject({
      code: 'invalid_token',
    });
    expect((await authenticator.authenticate(regenerated.cookieToken ?? '')).live.session.roles).toEqual(['admin']);
    await sessions.end(session.id);
    await expect(sessions.stepUp(session.id)).rejects.toMatchObject({ code: 'session_ended' });
    await expect(sessions.regenerate('nonsense')).rejects.toMatchObject({ code: 'invalid_token' });
  });
});

describe('after a change of password', () => {
  it('a sign-in whose password was verified before it is refused, and one verified after it is not', async () => {
    const { sessions } = await servicesOf();
    const { session } = await sessions.start({ userId: 'ann' });
    const verifiedAt = sessions.now();
    await sessions.passwordChanged(session);
    await expect(sessions.start({ userId: 'ann' }, { verifiedAt })).rejects.toMatchObject({ code: 'session_revoked' });
    expect(await sessions.list('ann')).toHaveLength(1);
    await sessions.start({ userId: 'ann' }, { verifiedAt: sessions.now() });
    expect(await sessions.list('ann')).toHaveLength(2);
  });
});

describe('after an administrator ended all sessions of a user', () => {
  it('a sign-in whose password was verified before is refused', async () => {
    const { sessions, admin } = await servicesOf();
    await sessions.start({ userId: 'ann' });
    const verifiedAt = sessions.now();
    expect(await admin.endUserSessions('ann', { actor: 'root', reason: 'test' })).toBe(1);
    await expect(sessions.start({ userId: 'ann' }, { verifiedAt })).rejects.toMatchObject({ code: 'session_revoked' });
    expect(await sessions.list('ann')).toEqual([]);
  });
});

describe('SessionService.sweep', () => {
  it('removes what is past its deadline, announces each, and says how many: for applications that sweep by cron', async () => {
    const { sessions, events, store } = await servicesOf({ sweeper: false, session: { idleTimeout: '10m' } });
    const heard: string[] = [];
    events.on('ended', ({ userId, reason }) => heard.push(`${userId} ${reason}`));
    await sessions.start({ userId: 'ann' });
    await sessions.start({ userId: 'bob' });
    store.advance(6 * 60_000);
    await sessions.start({ userId: 'cem' });
    expect(await sessions.sweep()).toBe(0);
    store.advance(5 * 60_000);
    expect(await sessions.sweep()).toBe(2);
    expect(heard).toEqual(['ann idle', 'bob idle']);
    expect(await sessions.sweep()).toBe(0);
    expect(await sessions.list('cem')).toHaveLength(1);
  });
});

describe('DeviceSessionService', () => {
  it('keeps at most one session a device and so many devices a user', async () => {
    const { devices, store } = await servicesOf();
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
    const { devices, sessions } = await servicesOf();
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
      const { devices } = await servicesOf();
      await devices.createDeviceSession({ userId: 'ann', deviceId: 'phone' });
      await devices.createDeviceSession({ userId: 'ann', deviceId });
      await devices.createDeviceSession({ userId: 'bob', deviceId });
      expect(await devices.destroyDevice('ann', deviceId)).toBe(true);
      expect(await devices.getDeviceSessions('ann')).toMatchObject([{ deviceId: 'phone' }]);
      expect(await devices.getDeviceSessions('bob')).toMatchObject([{ deviceId }]);
    },
  );

  it.each(['', 'x'.repeat(10_000), 5, null, ['phone']])('%j is no device id', async (deviceId) => {
    const { devices, store } = await servicesOf();
    await expect(devices.createDeviceSession({ userId: 'ann', deviceId: deviceId as string })).rejects.toMatchObject({
      statusCode: 400,
    });
    expect(await store.count()).toBe(0);
  });
});
