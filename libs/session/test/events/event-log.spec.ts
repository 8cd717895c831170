import { Logger } from '@nestjs/common';
import { jest } from '@jest/globals';
import { MemorySessionStore } from '../../src/memory/memory-session-store.js';
import { logEntryOf } from '../../src/model/event-log.js';
import { SESSION_EVENT_TYPES, type SessionEvent } from '../../src/model/events.js';
import { END_REASONS } from '../../src/model/session.js';
import type { SessionModuleOptions } from '../../src/options/session-module-options.js';
import { resolveSessionOptions } from '../../src/options/resolve-options.js';
import { SessionEventLog } from '../../src/events/session-event-log.js';
import { SessionEvents } from '../../src/events/session-events.js';

const base = {
  at: Date.UTC(2026, 1, 3, 4, 5, 6, 789),
  sessionId: 's'.repeat(32),
  userId: 'ada',
  remote: false,
} as const;

/** One of each type. */
const SAMPLES: readonly SessionEvent[] = [
  { ...base, type: 'created' },
  { ...base, type: 'ended', reason: 'evicted' },
  { ...base, type: 'regenerated' },
  { ...base, type: 'refreshed' },
  { ...base, type: 'changed' },
  { ...base, type: 'reuse-detected' },
  { ...base, type: 'rotation-lost' },
  { ...base, type: 'limit-reached' },
  { ...base, type: 'damaged', detail: 'the record is not JSON' },
  { ...base, type: 'writes-lost', since: 0, endedAgain: 3 },
  { ...base, type: 'end-unconfirmed', confirmed: 0, wanted: 1 },
  { ...base, type: 'hijack-suspected', signals: ['fingerprint', 'ip'], action: 'end' },
  { ...base, type: 'use-after-end', reason: 'revoked' },
  { ...base, type: 'new-device' },
  { ...base, type: 'impersonation-started', actor: { userId: 'root', sessionId: 'r'.repeat(32) } },
  { ...base, type: 'bound' },
  { ...base, type: 'binding-failed', step: 'refresh', reason: 'proof' },
  { ...base, type: 'bound-cookie-missing', action: 'reject', skipped: 'unreachable' },
  { ...base, type: 'admin-action', action: 'end-user', actor: 'root', reason: 'T-1', ended: 2, completed: true },
  { ...base, type: 'authenticated', step: 'sign-in', amr: ['pwd', 'otp'], pending: false },
  { ...base, type: 'sign-in-failed', reason: 'wrong-credentials', failed: ['otp'], verified: ['pwd'] },
  { ...base, type: 'request-refused', code: 'insufficient_scope', route: 'A.b', omitted: 3 },
];
const sample = (type: string): SessionEvent => SAMPLES.find((event) => event.type === type) as SessionEvent;

describe('logEntryOf', () => {
  it.each([
    ['created', 'session_created', 'INFO'],
    ['regenerated', 'session_regenerated', 'INFO'],
    ['ended', 'session_expired', 'INFO'],
    ['use-after-end', 'session_use_after_expire', 'CRITICAL'],
    ['refreshed', 'authn_token_created', 'INFO'],
    ['reuse-detected', 'authn_token_reuse', 'CRITICAL'],
    ['changed', 'session_changed', 'INFO'],
    ['hijack-suspected', 'session_hijack_suspected', 'CRITICAL'],
    ['new-device', 'session_new_device', 'WARN'],
    ['impersonation-started', 'session_impersonation_started', 'WARN'],
    ['bound', 'session_bound', 'INFO'],
    ['binding-failed', 'session_binding_failed', 'WARN'],
    ['bound-cookie-missing', 'session_bound_cookie_missing', 'CRITICAL'],
    ['limit-reached', 'session_limit_reached', 'WARN'],
    ['rotation-lost', 'session_rotation_lost', 'WARN'],
    ['damaged', 'session_damaged', 'WARN'],
    ['writes-lost', 'session_writes_lost', 'CRITICAL'],
    ['end-unconfirmed', 'session_end_unconfirmed', 'WARN'],
    ['admin-action', 'session_admin_action', 'WARN'],
    ['authenticated', 'authn_login_success', 'INFO'],
    ['sign-in-failed', 'authn_login_fail', 'WARN'],
    ['request-refused', 'authz_fail', 'CRITICAL'],
  ])('16.2.1: %s is %s, %s, with when, who and which', (type, event, severity) => {
    expect(logEntryOf(sample(type))).toMatchObject({
      event,
      severity,
      at: '2026-02-03T04:05:06.789Z',
      userId: 'ada',
      sessionId: base.sessionId,
    });
  });

  it('has an entry for every type there is', () => {
    expect(SAMPLES.map(({ type }) => type).sort()).toEqual([...SESSION_EVENT_TYPES].sort());
  });

  it('16.2.2: tells the instant of the store in UTC, whatever the zone of the process', () => {
    expect(logEntryOf({ ...base, type: 'created', at: Date.UTC(2026, 10, 27, 23, 59, 59, 7) }).at).toBe(
      '2026-11-27T23:59:59.007Z',
    );
  });

  it.each([
    ['csrf_rejected', undefined, 'malicious_cors', 'CRITICAL'],
    ['insufficient_scope', undefined, 'authz_fail', 'CRITICAL'],
    ['pending_authentication', undefined, 'authz_fail', 'INFO'],
    ['invalid_token', 'forged', 'session_token_refused', 'CRITICAL'],
    ['invalid_token', 'replaced', 'session_token_refused', 'WARN'],
    ['invalid_token', 'expired', 'session_token_refused', 'INFO'],
    ['session_revoked', undefined, 'session_request_refused', 'WARN'],
  ] as const)('16.3.2, 16.3.3: a refusal with %s (%s) is %s, %s', (code, reason, event, severity) => {
    const refused = { ...base, type: 'request-refused', code, ...(reason && { reason }) } as const;
    expect(logEntryOf(refused)).toMatchObject({ event, severity, code });
  });

  it('names a sign-out as such, and other ends as the expiry of a session', () => {
    const names = END_REASONS.map((reason) => [reason, logEntryOf({ ...base, type: 'ended', reason }).event]);
    expect(Object.fromEntries(names)).toMatchObject({
      logout: 'session_logout',
      idle: 'session_expired',
      revoked: 'session_expired',
    });
  });

  it('names revoked access tokens', () => {
    expect(logEntryOf({ ...base, type: 'changed', cause: 'tokens-revoked' }).event).toBe('authn_token_revoked');
  });

  it('tells why a session ended, and calls it ordinary that somebody comes back after lunch', () => {
    for (const reason of END_REASONS) expect(logEntryOf({ ...base, type: 'ended', reason })).toMatchObject({ reason });
    const severe = END_REASONS.filter(
      (reason) => logEntryOf({ ...base, type: 'use-after-end', reason }).severity === 'CRITICAL',
    );
    expect(severe).toEqual(['logout', 'revoked', 'reuse', 'hijack', 'admin']);
  });

  it('16.4.1: stays one line whatever the user id holds', () => {
    const userId = 'a\r\nb\u2028c\u2029d\u0085e\u001b[2Jf\u202eg\0';
    const line = JSON.stringify(logEntryOf({ ...base, type: 'damaged', userId, detail: 'x\ny' }));
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/);
    expect(JSON.parse(line)).toMatchObject({
      userId: 'a\\u{d}\\u{a}b\\u{2028}c\\u{2029}d\\u{85}e\\u{1b}[2Jf\\u{202e}g\\u{0}',
    });
  });
});

describe('SessionEventLog', () => {
  let lines: [level: string, line: string][];

  beforeEach(() => {
    lines = [];
    for (const level of ['fatal', 'error', 'warn', 'log', 'debug', 'verbose'] as const) {
      jest.spyOn(Logger.prototype, level).mockImplementation((line: unknown) => void lines.push([level, String(line)]));
    }
  });
  afterEach(() => jest.restoreAllMocks());

  function open(events?: SessionModuleOptions['events']): { store: MemorySessionStore; events: SessionEvents } {
    const store = new MemorySessionStore();
    const all = new SessionEvents(store);
    new SessionEventLog(all, resolveSessionOptions({ ...(events && { events }) })).onModuleInit();
    return { store, events: all };
  }

  it('16.2.4: writes one line of JSON for one event, each kind at its level', () => {
    const { events } = open();
    for (const event of SAMPLES) events.publish(event);
    expect(lines.map(([level, line]) => [(JSON.parse(line) as { event: string }).event, level])).toEqual([
      ['session_created', 'log'],
      ['session_expired', 'log'],
      ['session_regenerated', 'log'],
      ['authn_token_created', 'debug'],
      ['session_changed', 'debug'],
      ['authn_token_reuse', 'warn'],
      ['session_rotation_lost', 'warn'],
      ['session_limit_reached', 'warn'],
      ['session_damaged', 'warn'],
      ['session_writes_lost', 'error'],
      ['session_end_unconfirmed', 'debug'],
      ['session_hijack_suspected', 'warn'],
      ['session_use_after_expire', 'warn'],
      ['session_new_device', 'log'],
      ['session_impersonation_started', 'warn'],
      ['session_bound', 'log'],
      ['session_binding_failed', 'warn'],
      ['session_bound_cookie_missing', 'warn'],
      ['session_admin_action', 'warn'],
      ['authn_login_success', 'log'],
      ['authn_login_fail', 'warn'],
      ['authz_fail', 'warn'],
    ]);
  });

  it('logs an event where it was caused, and nowhere else', () => {
    const { events } = open();
    events.publish({ ...base, type: 'created', remote: true });
    expect(lines).toEqual([]);
  });

  it('takes levels of single types, and off', () => {
    const { events } = open({ log: { created: 'verbose', ended: 'off', 'use-after-end': 'error' } });
    for (const type of ['created', 'ended', 'use-after-end', 'regenerated']) events.publish(sample(type));
    expect(lines.map(([level]) => level)).toEqual(['verbose', 'error', 'log']);
  });

  it('is silent with log: false', () => {
    const { events } = open({ log: false });
    for (const event of SAMPLES) events.publish(event);
    expect(lines).toEqual([]);
  });

  it('is at debug where a token comes back after an ordinary end', () => {
    const { events } = open();
    for (const reason of ['idle', 'logout'] as const) events.publish({ ...base, type: 'use-after-end', reason });
    expect(lines.map(([level]) => level)).toEqual(['debug', 'warn']);
  });

  it('shows revoked tokens where changes are not shown', () => {
    const { events } = open();
    events.publish({ ...base, type: 'changed', cause: 'tokens-revoked' });
    expect(lines.map(([level]) => level)).toEqual(['log']);
  });

  it('says of one damaged record once a minute', () => {
    const { events } = open();
    for (let reads = 0; reads < 10; reads += 1) events.publish(sample('damaged'));
    events.publish({ ...(sample('damaged') as SessionEvent & { type: 'damaged' }), sessionId: 't'.repeat(32) });
    expect(lines).toHaveLength(2);
  });

  it.each([
    [{ log: { creatd: 'warn' } }, /events\.log/],
    [{ log: { created: 'loud' } }, /events\.log/],
    [{ log: 'yes' }, /events\.log: must be true, false or levels by type/],
    [{ stream: { maxLength: 0 } }, /events\.stream\.maxLength: must be a whole number from 1/],
    [{ stream: { retention: 'soon' } }, /events\.stream\.retention/],
    [{ streams: true }, /events\.streams: there is no such option; did you mean "stream"/],
  ])('refuses %j at boot', (events, message) => {
    expect(() => resolveSessionOptions({ events: events as never })).toThrow(message);
  });
});
