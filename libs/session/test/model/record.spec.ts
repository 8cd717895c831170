import fc from 'fast-check';
import { MAX_LABEL_LENGTH } from '../../src/model/record-fields.js';
import {
  absoluteEnd,
  DamagedRecord,
  decodeRecord,
  encodeRecord,
  newRecord,
  patchOf,
  patchRecord,
  profileSeqOf,
  RECORD_VERSION,
  toSession,
  withProfile,
  type SessionClock,
  type SessionRecord,
} from '../../src/model/record.js';
import type { NewSession, SessionChange, SessionPatch } from '../../src/model/session.js';

const FULL: NewSession = {
  userId: 'ada',
  email: 'ada@example.com',
  roles: ['user'],
  data: { a: 1, list: [] },
  metadata: { userAgent: 'x', ip: '192.0.2.1' },
  deviceId: 'd',
  deviceName: 'Phone',
  deviceType: 'mobile',
  lastLocation: { ip: '192.0.2.1', city: 'Kraków' },
  amr: ['pwd'],
  acr: 'aal2',
  pending: true,
  actor: { userId: 'root', sessionId: 'x' },
};

const CLOCK: SessionClock = {
  createdAt: 1,
  lastAccess: 2,
  idleTimeout: 3,
  expiresAt: 4,
  authenticatedAt: 5,
  tokensFrom: 6,
  profileSeq: 0,
};

const PROFILE = { email: null, roles: null };

function decoded(value: unknown): SessionRecord | DamagedRecord {
  return decodeRecord(JSON.stringify(value));
}

describe('records', () => {
  it('survive being written and read', () => {
    const record = newRecord(FULL);
    expect(decodeRecord(encodeRecord(record))).toEqual(record);
    expect(record).toEqual({ v: RECORD_VERSION, ...FULL, userId: undefined });
  });

  it('hold nothing that was not given', () => {
    expect(encodeRecord(newRecord({ userId: 'ada' }))).toBe('{"v":1,"email":"","roles":[],"data":{}}');
  });

  it('of any data that JSON can keep come back equal', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (data) => {
        const expected: unknown = JSON.parse(
          JSON.stringify(data, (key, value: unknown) => (key === '__proto__' ? undefined : value)),
        );
        expect((decodeRecord(encodeRecord(newRecord({ userId: 'ada', data }))) as SessionRecord).data).toEqual(
          expected,
        );
      }),
    );
  });

  it('are counted in bytes of UTF-8, and fit exactly up to the limit', () => {
    const record = newRecord({ userId: 'ada', data: { text: 'ż🦔' } });
    const size = Buffer.byteLength(JSON.stringify(record));
    expect(encodeRecord(record, size)).toHaveLength(size - 3);
    expect(() => encodeRecord(record, size - 1)).toThrow(
      expect.objectContaining({ code: 'session_too_large', size, limit: size - 1 }),
    );
  });

  it('too deep to be written are refused, not crashed on', () => {
    let deep: unknown = {};
    for (let i = 0; i < 100_000; i += 1) deep = [deep];
    const record = newRecord({ userId: 'ada', data: { deep } });
    expect(() => encodeRecord(record)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });
});

describe('decodeRecord', () => {
  const sound = { v: 1, email: '', roles: [], data: {} };

  it.each([
    ['nothing', ''],
    ['half a record', '{"v":1,'],
    ['text', 'null and void'],
    ['null', 'null'],
    ['a number', '5'],
    ['a string', '"{}"'],
    ['true', 'true'],
    ['a list', '[{"v":1,"email":"","roles":[],"data":{}}]'],
    ['an empty object', '{}'],
    ['too deep a list', '['.repeat(200_000)],
    ['NUL', '\0'],
    ['a record followed by another', '{"v":1,"email":"","roles":[],"data":{}}{}'],
  ])('says what is wrong with %s, and does not throw', (_name, text) => {
    const record = decodeRecord(text);
    expect(record).toBeInstanceOf(DamagedRecord);
    expect((record as DamagedRecord).detail.length).toBeGreaterThan(0);
  });

  it.each([
    { v: undefined },
    { v: '1' },
    { v: null },
    { email: undefined },
    { email: null },
    { email: 5 },
    { roles: undefined },
    { roles: 'admin' },
    { roles: { 0: 'admin', length: 1 } },
    { roles: ['user', null] },
    { roles: [['admin']] },
    { data: undefined },
    { data: null },
    { data: [] },
    { data: 'text' },
    { metadata: null },
    { metadata: [] },
    { metadata: { fingerprint: 5 } },
    { metadata: { ip: null } },
    { deviceId: 5 },
    { deviceId: null },
    { deviceName: {} },
    { deviceType: 1 },
    { lastLocation: 'here' },
    { lastLocation: { ip: 5 } },
    { amr: 'pwd' },
    { amr: [1] },
    { acr: 2 },
    { pending: null },
    { pending: 'false' },
    { pending: 0 },
    { actor: 'root' },
    { actor: {} },
    { actor: { userId: 'root' } },
    { actor: { userId: 'root', sessionId: 5 } },
  ])('takes a record with %j for damaged: nothing of it is used', (wrong) => {
    expect(decoded(sound)).toEqual(sound);
    expect(decoded({ ...sound, ...wrong })).toBeInstanceOf(DamagedRecord);
  });

  it('tells a newer version from damage', () => {
    expect(decoded({ v: 2, brandNew: true })).toMatchObject({
      detail: 'the record has the newer version 2',
    });
    expect(decodeRecord('{"v":1e999,"email":"","roles":[],"data":{}}')).toBeInstanceOf(DamagedRecord);
  });

  it('never throws, whatever the text', () => {
    const nearly = fc.record(
      {
        v: fc.oneof(fc.constant(1), fc.jsonValue()),
        email: fc.oneof(fc.string(), fc.jsonValue()),
        roles: fc.oneof(fc.array(fc.string()), fc.jsonValue()),
        data: fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue()),
        pending: fc.jsonValue(),
        metadata: fc.jsonValue(),
        actor: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          nearly.map((value) => JSON.stringify(value)),
        ),
        (text) => {
          const record = decodeRecord(text);
          if (record instanceof DamagedRecord) return;
          expect(toSession('id', 'ada', { record, clock: CLOCK, profile: PROFILE })).toMatchObject({
            id: 'id',
            userId: 'ada',
          });
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('lets no stored record say who or when a session is: that is not its part', () => {
    const hostile = decoded({
      ...sound,
      id: 'x',
      userId: 'eve',
      createdAt: 99,
      lastAccess: 99,
      expiresAt: 99,
      idleTimeout: 99,
      authenticatedAt: 99,
    });
    expect(toSession('id', 'ada', { record: hostile as SessionRecord, clock: CLOCK, profile: PROFILE })).toMatchObject({
      id: 'id',
      userId: 'ada',
      createdAt: 1,
      lastAccess: 2,
      idleTimeout: 3,
      expiresAt: 4,
      authenticatedAt: 5,
    });
  });
});

describe('newRecord', () => {
  it.each([
    { email: 5 },
    { roles: 'admin' },
    { roles: new Set(['admin']) },
    { data: [] },
    { data: 'text' },
    { data: new Date() },
    { data: { toJSON: () => 'text' } },
    { metadata: 5 },
    { metadata: { ip: ['192.0.2.1'] } },
    { deviceId: '' },
    { deviceId: 5 },
    { deviceId: 'x'.repeat(MAX_LABEL_LENGTH + 1) },
    { deviceId: '\uDC00' },
    { deviceName: '' },
    { deviceType: 'toaster' },
    { deviceType: '__proto__' },
    { lastLocation: 'here' },
    { amr: 'pwd' },
    { acr: {} },
    { actor: { userId: 5, sessionId: 'x' } },
  ])('refuses %j', (wrong) => {
    const input = { userId: 'ada', ...wrong } as unknown as NewSession;
    expect(() => newRecord(input)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it('takes nothing but true for pending', () => {
    expect(newRecord({ userId: 'ada', pending: false }).pending).toBeUndefined();
    expect(newRecord({ userId: 'ada', pending: true }).pending).toBe(true);
  });

  it('cuts what a request says of itself to a bound', () => {
    const { metadata, lastLocation } = newRecord({
      userId: 'ada',
      metadata: { userAgent: 'x'.repeat(9_999), ip: undefined },
      lastLocation: { ip: '1', city: 'y'.repeat(9_999) },
    });
    expect(metadata).toEqual({ userAgent: 'x'.repeat(MAX_LABEL_LENGTH) });
    expect(lastLocation?.city).toHaveLength(MAX_LABEL_LENGTH);
  });
});

describe('patchRecord', () => {
  it('takes the documented keys alone, whatever else the patch holds (ASVS 15.3.3)', () => {
    const record = newRecord(FULL);
    const hostile = {
      id: 'x',
      userId: 'eve',
      v: 9,
      deviceId: 'y',
      deviceType: 'tablet',
      actor: { userId: 'x' },
      expiresAt: 9,
      x: 1,
    };
    expect(patchRecord(record, hostile as SessionPatch)).toEqual(record);
  });

  it('copies lists, so that what is handed in may change afterwards', () => {
    const roles = ['user'];
    const patched = patchRecord(newRecord(FULL), { roles });
    roles.push('admin');
    expect(patched.roles).toEqual(['user']);
  });
});

describe('patchOf', () => {
  const session = toSession('id', 'ada', { record: newRecord(FULL), clock: CLOCK, profile: PROFILE });

  it('is the patch, or what its function makes of the session', () => {
    expect(patchOf({ acr: 'x' }, session)).toEqual({ acr: 'x' });
    expect(patchOf(({ roles }) => ({ roles: [...roles, 'admin'] }), session)).toEqual({ roles: ['user', 'admin'] });
  });

  it.each<[string, unknown]>([
    ['a promise', async () => ({})],
    ['a promise that rejects', async () => Promise.reject(new Error('must not end the process'))],
    ['something like a promise', () => ({ then: () => undefined })],
    ['null', () => null],
    ['a list', () => []],
    ['a function', () => () => ({})],
    ['no patch', 5],
  ])('refuses %s', async (_name, change) => {
    expect(() => patchOf(change as SessionChange, session)).toThrow(
      expect.objectContaining({ code: 'invalid_argument' }),
    );
    await new Promise((resolve) => setImmediate(resolve));
  });
});

describe('the profile of a user (ASVS 8.3.2)', () => {
  const record = newRecord({ userId: 'ada', email: 'record', roles: ['record'] });
  const profile = { email: { value: 'profile', seq: 2 }, roles: { value: ['profile'], seq: 5 } };

  it.each([
    [0, 'profile', ['profile']],
    [1, 'profile', ['profile']],
    [2, 'record', ['profile']],
    [4, 'record', ['profile']],
    [5, 'record', ['record']],
    [9, 'record', ['record']],
  ])('known up to change %i, the newer value counts', (profileSeq, email, roles) => {
    const clock = { ...CLOCK, profileSeq };
    expect(withProfile(record, clock, profile)).toMatchObject({ email, roles });
    expect(toSession('id', 'ada', { record, clock, profile })).toMatchObject({ email, roles });
  });

  it('is numbered by its latest change', () => {
    expect(profileSeqOf(profile)).toBe(5);
    expect(profileSeqOf(PROFILE)).toBe(0);
  });

  it('is copied', () => {
    const session = toSession('id', 'ada', { record, clock: CLOCK, profile });
    session.roles.push('admin');
    expect(profile.roles.value).toEqual(['profile']);
  });
});

describe('absoluteEnd', () => {
  const now = 1_900_000_000_000;

  it.each([
    [undefined, now + 1_000],
    [now + 500, now + 500],
    [new Date(now + 500), now + 500],
    [now + 500.9, now + 500],
    [now + 1_000, now + 1_000],
    [now + 1_001, now + 1_000],
    [now - 1, now - 1],
  ])('of a cap %p', (cap, end) => {
    expect(absoluteEnd(now, 1_000, cap)).toBe(end);
  });

  it('refuses seconds', () => {
    expect(() => absoluteEnd(now, 1_000, now / 1_000)).toThrow(/^expiresAt: looks like seconds/);
  });
});
