import { setTimeout as sleep } from 'node:timers/promises';
import { logEntryOf, type SessionEvent } from 'nestjs-sessions';
import { ENDS_BY_KIND, SESSION_EVENT_TYPES } from 'nestjs-sessions/store';
import { resolveSessionOptions } from '../../libs/session/src/options/resolve-options.js';
import { Sample } from '../e2e/support/sample.js';
import { plain, readDocument, tableUnder } from './support/markdown.js';

const DOCUMENT = readDocument('docs/events.md');

interface Panel {
  readonly title: string;
  readonly targets: readonly { readonly expr: string }[];
}
const dashboard = JSON.parse(readDocument('docs/grafana/sessions.json')) as { panels: Panel[] };

describe('docs/events.md', () => {
  it('names every type of event, and every kind of end with its reasons', () => {
    const types = tableUnder(DOCUMENT, '## Types').map(([type = '']) => plain(type));
    expect(types.sort()).toEqual([...SESSION_EVENT_TYPES].sort());
    const kinds = tableUnder(
      DOCUMENT.slice(DOCUMENT.indexOf('Ends of one kind')).replace('\n', '\n## kinds\n'),
      '## kinds',
    );
    const written = kinds.map(([kind = '', reasons = '']) => [plain(kind), reasons.replaceAll('`', '').split(', ')]);
    expect(Object.fromEntries(written)).toEqual(ENDS_BY_KIND);
  });

  it('16.2.1: has the names, severities and levels of the log', () => {
    const rows = tableUnder(DOCUMENT, '## In the log').map((row) => row.map(plain));
    const levels = resolveSessionOptions().events.log;
    const actual = SESSION_EVENT_TYPES.map((type) => {
      const { event, severity } = logEntryOf(sampleOf(type));
      return [type, event, severity, levels?.[type]];
    });
    expect(rows.sort()).toEqual(actual.sort());
  });

  it('has every metric of the sample, which the dashboard knows as well', async () => {
    const text = await metricsOfSample();
    const families = [...text.matchAll(/^# TYPE nestjs_sessions_(\S+) (counter|gauge|histogram)$/gm)];
    const names = families.map(([, name = '']) => name.replace(/_total$/, ''));
    const documented = tableUnder(DOCUMENT, '## Metrics and traces').map(([name = '', kind = '']) => [
      plain(name),
      kind,
    ]);
    const measured = families.map(([, name = '', kind = '']) => [
      `nestjs_sessions.${name
        .replace(/_total$/, '')
        .replace('store_', 'store.')
        .replace('near_cache_', 'near_cache.')}`,
      kind,
    ]);
    expect(documented.sort()).toEqual(measured.sort());
    const shown = dashboard.panels.flatMap(({ targets }) =>
      targets.flatMap(({ expr }) => expr.match(/nestjs_sessions_\w+/g) ?? []),
    );
    const known = new Set([...text.matchAll(/^(nestjs_sessions_\w+)\{/gm)].map(([, name]) => name));
    expect(shown.length).toBeGreaterThan(8);
    expect(shown.filter((name) => !known.has(name))).toEqual([]);
    const covered = names.filter((name) => shown.some((metric) => metric.startsWith(`nestjs_sessions_${name}`)));
    expect(covered).toEqual(names);
  });
});

/** What the sample measures once something of each kind has happened. */
async function metricsOfSample(): Promise<string> {
  const sample = await Sample.start({
    env: { IDLE_TIMEOUT: '1s', NEAR_CACHE: '5s' },
    options: (given) => ({ ...given, sweeper: { interval: '32ms' } }),
  });
  try {
    const browser = sample.browser();
    await browser.signedIn();
    await sleep(150);
    await browser.get('/me');
    await sleep(1_300);
    return (await browser.get('/metrics')).text;
  } finally {
    await sample.close();
  }
}

function sampleOf(type: SessionEvent['type']): SessionEvent {
  const parts = {
    reason: 'admin',
    detail: 'x',
    signals: ['ip'],
    action: 'log',
    actor: { userId: 'u', sessionId: 's' },
    ...(type === 'binding-failed' && { step: 'refresh', reason: 'proof' }),
    since: 0,
    endedAgain: 1,
    confirmed: 0,
    wanted: 1,
    ...(type === 'admin-action' && { actor: 'root', action: 'end-user', ended: 1, completed: true }),
    ...(type === 'authenticated' && { amr: ['pwd'], step: 'sign-in' }),
    ...(type === 'sign-in-failed' && { reason: 'wrong-credentials', failed: ['pwd'], verified: [] }),
    ...(type === 'request-refused' && { code: 'insufficient_scope' }),
  };
  return { type, at: 0, sessionId: 's', userId: 'u', remote: false, ...parts } as unknown as SessionEvent;
}
