import { checkHistory, type Deed, type HistoryRules, type Recorded } from './history-checker.js';

/** One deed after the other, each of ten ms, the first at 0. */
function inTurn(...deeds: Deed[]): Recorded[] {
  return deeds.map((did, index) => ({ client: 'a', invokedAt: index * 20, completedAt: index * 20 + 10, did }));
}

const RULES: HistoryRules = { limit: 2 };
const signIn = (session: string | null, outcome: 'ok' | 'refused' | 'unknown' = 'ok'): Deed => ({
  kind: 'sign-in',
  user: 'ada',
  session,
  outcome,
});
const request = (session: string, outcome: 'accepted' | 'refused' | 'unknown'): Deed => ({
  kind: 'request',
  session,
  outcome,
});
const end = (session: string, outcome: 'ok' | 'unknown' = 'ok'): Deed => ({ kind: 'end', session, outcome });
const endAll = (outcome: 'ok' | 'unknown' = 'ok'): Deed => ({ kind: 'end-all', user: 'ada', outcome });
const list = (...sessions: string[]): Deed => ({ kind: 'list', user: 'ada', sessions });
const refresh = (presented: number, returned: number | null): Deed => ({
  kind: 'refresh',
  session: 's1',
  presented,
  returned,
  outcome: returned === null ? 'refused' : 'ok',
});

describe('the checker of histories', () => {
  it.each<[string, Deed[]]>([
    ['a life', [signIn('s1'), request('s1', 'accepted'), list('s1'), end('s1'), request('s1', 'refused'), list()]],
    ['an end without an answer, which happened', [signIn('s1'), end('s1', 'unknown'), request('s1', 'refused')]],
    ['an end without an answer, which did not', [signIn('s1'), end('s1', 'unknown'), request('s1', 'accepted')]],
    ['503 at any time', [signIn('s1'), request('s1', 'unknown'), end('s1'), request('s1', 'unknown')]],
    ['an eviction', [signIn('s1'), signIn('s2'), signIn('s3'), request('s1', 'refused'), list('s2', 's3')]],
    ['an eviction by a sign-in without an answer', [signIn('s1'), signIn('s2'), signIn(null, 'unknown'), list('s2')]],
    ['a session whose sign-in had no answer', [signIn(null, 'unknown'), list('s9')]],
    ['an end of all, and a sign-in after it', [signIn('s1'), endAll(), signIn('s2'), request('s2', 'accepted')]],
    ['a chain of refreshes, one of them repeated', [signIn('s1'), refresh(0, 1), refresh(0, 1), refresh(1, 2)]],
  ])('accepts %s', (_, deeds) => {
    expect(checkHistory(inTurn(...deeds), RULES)).toEqual({ wrong: [], undone: [] });
  });

  it.each<[string, Deed[], RegExp]>([
    ['acceptance after an acknowledged end', [signIn('s1'), end('s1'), request('s1', 'accepted')], /accepted after/],
    ['acceptance after an end of all', [signIn('s1'), endAll(), request('s1', 'accepted')], /accepted after/],
    ['a list with an ended session', [signIn('s1'), end('s1'), list('s1')], /listed after/],
    ['a refresh after the end', [signIn('s1'), end('s1'), refresh(0, 1)], /refreshed after/],
    ['a refusal without a reason', [signIn('s1'), request('s1', 'refused')], /refused without/],
    ['a refused refresh without a reason', [signIn('s1'), refresh(0, null)], /refresh refused/],
    ['an omission in a list', [signIn('s1'), signIn('s2'), list('s2')], /not listed/],
    ['an eviction below the limit', [signIn('s1'), signIn('s2'), request('s1', 'refused')], /refused without/],
    ['more sessions than the limit', [signIn('s1'), signIn('s2'), signIn('s3'), list('s1', 's2', 's3')], /limit/],
    ['a session that nobody started', [list('s9')], /nobody started/],
    ['a family that forks', [signIn('s1'), refresh(0, 1), refresh(1, 2), refresh(0, 1)], /after a later one/],
    ['a family that jumps', [signIn('s1'), refresh(0, 2)], /generation 2 for generation 0/],
    [
      'an end of one, and a refusal of the other',
      [signIn('s1'), signIn('s2'), end('s1'), request('s2', 'refused')],
      /s2/,
    ],
  ])('finds %s', (_, deeds, message) => {
    expect(checkHistory(inTurn(...deeds), RULES).wrong).toContainEqual(expect.stringMatching(message));
  });

  it('lets deeds that overlap happen in any order', () => {
    const history: Recorded[] = [
      { client: 'a', invokedAt: 0, completedAt: 10, did: signIn('s1') },
      { client: 'a', invokedAt: 20, completedAt: 60, did: end('s1') },
      { client: 'b', invokedAt: 30, completedAt: 70, did: request('s1', 'accepted') },
      { client: 'c', invokedAt: 25, completedAt: 40, did: request('s1', 'refused') },
    ];
    expect(checkHistory(history, RULES).wrong).toEqual([]);
    const [signedIn, ended, accepted] = history as [Recorded, Recorded, Recorded];
    const later = { ...accepted, invokedAt: 61 };
    expect(checkHistory([signedIn, ended, later], RULES).wrong).toHaveLength(1);
  });

  it('finds a session past its absolute end', () => {
    const lives: Deed = { kind: 'sign-in', user: 'ada', session: 's1', outcome: 'ok', endsAt: 15 };
    expect(checkHistory(inTurn(lives, request('s1', 'accepted')), RULES).wrong).toEqual([
      expect.stringMatching(/absolute end/),
    ]);
    expect(checkHistory(inTurn(lives, request('s1', 'refused')), RULES).wrong).toEqual([]);
  });

  it('lets a session end between the two instants at which its absolute end may lie', () => {
    const lives: Deed = { kind: 'sign-in', user: 'ada', session: 's1', outcome: 'ok', endsAt: 65, mayEndAt: 45 };
    const check = (...deeds: Deed[]): readonly string[] => checkHistory(inTurn(lives, ...deeds), RULES).wrong;
    expect(check(request('s1', 'refused'))).toEqual([expect.stringMatching(/refused without/)]);
    expect(check(endAll('unknown'), request('s1', 'refused'))).toEqual([]);
    expect(check(list('s1'), request('s1', 'refused'))).toEqual([]);
    expect(check(list('s1'), list('s1'), request('s1', 'accepted'))).toEqual([]);
    expect(check(list('s1'), list('s1'), list('s1'), request('s1', 'accepted'))).toEqual([
      expect.stringMatching(/absolute end/),
    ]);
  });

  it('finds a family that forks although writes were lost, unless the later rotation is among them', () => {
    const history = inTurn(signIn('s1'), refresh(0, 1), refresh(1, 2), refresh(0, 1));
    const check = (from: number, to: number): readonly string[] =>
      checkHistory(history, { limit: 2, lost: [{ from, to }] }).wrong;
    expect(check(0, 5)).toEqual([expect.stringMatching(/after a later one/)]);
    expect(check(40, 50)).toEqual([]);
  });

  it('counts ends that an announced loss undid apart from wrong answers, and only those', () => {
    const history = inTurn(signIn('s1'), end('s1'), request('s1', 'accepted'));
    const during = { limit: 2, lost: [{ from: 20, to: 40 }] };
    expect(checkHistory(history, during)).toEqual({ wrong: [], undone: [expect.stringMatching(/s1/)] });
    expect(checkHistory(history, { limit: 2, lost: [{ from: 100, to: 200 }] }).wrong).toHaveLength(1);
  });
});
