import { jest } from '@jest/globals';
import { SecurityReports } from '../../src/events/security-reports.js';
import { SessionError } from '../../src/model/errors.js';
import type { SessionEvent } from '../../src/model/events.js';

const refused = (code: 'csrf_rejected' | 'insufficient_scope' | 'store_unavailable' | 'session_required') =>
  new SessionError(code, 'x');

describe('SecurityReports', () => {
  let heard: SessionEvent[];
  let reports: SecurityReports;

  beforeEach(() => {
    jest.useFakeTimers();
    heard = [];
    const events = { announceHere: (event: SessionEvent) => void heard.push(event) };
    reports = new SecurityReports(
      events,
      () => 7,
      () => 'acme',
      { most: 3, window: 1_000 },
    );
  });
  afterEach(() => jest.useRealTimers());

  const told = (): (number | undefined)[] => heard.map((event) => ('omitted' in event ? event.omitted : undefined));

  it('16.3.3: announces so many of a kind in a window, and then one that counts the others', () => {
    for (let i = 0; i < 10; i += 1) reports.refused(refused('csrf_rejected'), { ip: `10.0.0.${i}` });
    expect(heard).toHaveLength(3);
    jest.advanceTimersByTime(1_000);
    expect(told()).toEqual([undefined, undefined, undefined, 6]);
    // Three, the latest, and six that it stands for.
    expect(heard.at(-1)).toMatchObject({ type: 'request-refused', ip: '10.0.0.9', tenant: 'acme', at: 7 });
    reports.refused(refused('csrf_rejected'), {});
    expect(told()).toHaveLength(5);
    jest.advanceTimersByTime(1_000);
    expect(told()).toHaveLength(5);
  });

  it('limits each kind by itself, so that a flood of one hides no other', () => {
    for (let i = 0; i < 50; i += 1) reports.refused(refused('csrf_rejected'), {});
    reports.refused(refused('insufficient_scope'), {}, { id: 's', userId: 'ann' });
    reports.signInFailed({ userId: 'ann' });
    reports.signInFailed({ userId: 'ann', reason: 'too-many-attempts' });
    expect(heard.slice(3)).toMatchObject([
      { type: 'request-refused', code: 'insufficient_scope', userId: 'ann', sessionId: 's' },
      { type: 'sign-in-failed', reason: 'wrong-credentials', failed: ['pwd'], verified: [] },
      { type: 'sign-in-failed', reason: 'too-many-attempts' },
    ]);
  });

  it('announces what it held back before the application closes, and holds no process open', () => {
    for (let i = 0; i < 5; i += 1) reports.refused(refused('csrf_rejected'), {});
    reports.flush();
    expect(told().at(-1)).toBe(1);
    jest.advanceTimersByTime(5_000);
    expect(heard).toHaveLength(4);
  });

  it('leaves out that nobody has signed in, and what is no fault of the request', () => {
    reports.refused(refused('session_required'), {});
    reports.refused(refused('store_unavailable'), {});
    expect(heard).toEqual([]);
  });
});
