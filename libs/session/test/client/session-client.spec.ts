import type { ServerResponse } from 'node:http';
import { SessionClient, type SessionClientOptions, type SessionEnd } from '../../src/client/index.js';
import { Api, refuse, reply } from './support/api.js';
import { FakeLocks } from './support/locks.js';

let api: Api;
let tabs: SessionClient[];
let channels = 0;
let channel: string;
const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');

beforeEach(async () => {
  Object.defineProperty(globalThis, 'navigator', { value: { locks: new FakeLocks() }, configurable: true });
  api = await Api.start();
  tabs = [];
  channels += 1;
  channel = `test-${channels}`;
});

afterEach(async () => {
  for (const tab of tabs) tab.close();
  await api.close();
});

afterAll(() => {
  if (before) Object.defineProperty(globalThis, 'navigator', before);
  else Reflect.deleteProperty(globalThis, 'navigator');
});

function openTab(options: SessionClientOptions = {}): SessionClient {
  const tab = new SessionClient({ baseUrl: api.url, name: channel, ...options });
  tabs.push(tab);
  return tab;
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('it did not happen');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** `/me` wants the latest access token, `/refresh` hands out the next. */
function withTokens({ slow = 0 } = {}): { current: string } {
  const state = { current: 'token-0' };
  api.on('/me', ({ headers }, response) => {
    if (headers.authorization === undefined) refuse(response, 401, 'session_required');
    else if (headers.authorization === `Bearer ${state.current}`) reply(response, 200, { id: 'u-1' });
    else refuse(response, 401, 'invalid_token');
  });
  api.on('/refresh', (_, response) => {
    state.current = `token-${api.countOf('/refresh')}`;
    setTimeout(() => reply(response, 200, { accessToken: state.current, expiresIn: 900 }), slow);
  });
  return state;
}

describe('access tokens', () => {
  it('are fetched when one is missing, and renewed when one was refused', async () => {
    const server = withTokens();
    const tab = openTab({ refreshUrl: '/refresh' });
    expect((await tab.fetch('/me')).status).toBe(200);
    server.current = 'moved on';
    expect((await tab.fetch('/me')).status).toBe(200);
    expect(api.countOf('/refresh')).toBe(2);
    expect((await tab.fetch('/me')).status).toBe(200);
    expect(api.countOf('/refresh')).toBe(2);
  });

  it('send the body again', async () => {
    withTokens();
    api.on('/notes', ({ headers }, response, body) =>
      headers.authorization === undefined ? refuse(response, 401, 'session_required') : reply(response, 200, { body }),
    );
    const response = await openTab({ refreshUrl: '/refresh' }).fetch('/notes', { method: 'POST', body: 'a note' });
    expect(await response.json()).toEqual({ body: 'a note' });
    expect(api.requests.filter(({ path }) => path === '/notes').map(({ body }) => body)).toEqual(['a note', 'a note']);
  });

  it('are renewed before they expire', async () => {
    withTokens();
    const tab = openTab({ refreshUrl: '/refresh' });
    tab.signedIn({ accessToken: 'nearly over', expiresIn: -1 });
    expect((await tab.fetch('/me')).status).toBe(200);
    expect(api.requests.map(({ path }) => path)).toEqual(['/refresh', '/me']);
  });

  it('are refreshed once by twenty tabs that need one at once', async () => {
    withTokens({ slow: 50 });
    const all = Array.from({ length: 20 }, () => openTab({ refreshUrl: '/refresh' }));
    const answers = await Promise.all(all.map((tab) => tab.fetch('/me')));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(api.countOf('/refresh')).toBe(1);
  });

  it('are refreshed once by twenty requests of a tab', async () => {
    withTokens();
    const tab = openTab({ refreshUrl: '/refresh' });
    await Promise.all(Array.from({ length: 20 }, () => tab.fetch('/me')));
    expect(api.countOf('/refresh')).toBe(1);
  });

  it('come from another tab to one that opens later', async () => {
    withTokens();
    const first = openTab({ refreshUrl: '/refresh' });
    await first.fetch('/me');
    const second = openTab({ refreshUrl: '/refresh' });
    expect((await second.fetch('/me')).status).toBe(200);
    expect(api.countOf('/refresh')).toBe(1);
  });

  it('go to the API and nowhere else', async () => {
    const elsewhere = await Api.start();
    elsewhere.on('/me', (_, response) => reply(response, 200, {}));
    api.on('/api/me', (_, response) => reply(response, 200, {}));
    api.on('/apiary', (_, response) => reply(response, 200, {}));
    const tab = openTab({ baseUrl: `${api.url}api`, refreshUrl: 'refresh' });
    tab.signedIn({ accessToken: 'secret', expiresIn: 900 });
    try {
      await tab.fetch('me');
      await tab.fetch(`${elsewhere.url}me`);
      await tab.fetch(new Request(`${api.url}apiary`, { method: 'POST', body: 'x' }));
      expect(api.requests.map(({ authorization }) => authorization)).toEqual(['Bearer secret', undefined]);
      expect(elsewhere.requests.map(({ authorization }) => authorization)).toEqual([undefined]);
    } finally {
      await elsewhere.close();
    }
  });

  it('that cannot be had any more end the session, in every tab and once', async () => {
    api.on('/me', (_, response) => refuse(response, 401, 'invalid_token'));
    api.on('/refresh', (_, response) => refuse(response, 401, 'session_evicted'));
    const ends: SessionEnd[] = [];
    const all = Array.from({ length: 3 }, () => openTab({ refreshUrl: '/refresh', onEnded: (end) => ends.push(end) }));
    all[0]?.signedIn({ accessToken: 'old', expiresIn: 900 });
    await until(() => all.every(({ state }) => state.status === 'signed-in'));
    const answers = await Promise.all(all.map((tab) => tab.fetch('/me')));
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401]);
    await until(() => ends.length >= 3);
    expect(ends).toEqual(Array(3).fill({ code: 'session_evicted', reason: null }));
  });

  it('stay what they are while the server is down: nobody is signed out', async () => {
    api.on('/me', (_, response) => refuse(response, 401, 'invalid_token'));
    api.on('/refresh', (_, response) => refuse(response, 503, 'store_unavailable'));
    const ends: SessionEnd[] = [];
    const tab = openTab({ refreshUrl: '/refresh', onEnded: (end) => ends.push(end) });
    tab.signedIn({ accessToken: 'old', expiresIn: 900 });
    expect((await tab.fetch('/me')).status).toBe(401);
    expect(tab.state.status).toBe('signed-in');
    expect(ends).toEqual([]);
  });
});

describe('refusals', () => {
  it.each(['reauthentication_required', 'step_up_required'])('%s ask for a proof once, and go again', async (code) => {
    let proved = false;
    api.on('/others', (_, response) => (proved ? reply(response, 200, {}) : refuse(response, 403, code)));
    const asked: string[] = [];
    const tab = openTab({
      onProofRequired: async (refusal) => {
        asked.push(refusal.code);
        await new Promise((resolve) => setTimeout(resolve, 30));
        return (proved = true);
      },
    });
    const answers = await Promise.all([tab.fetch('/others'), tab.fetch('/others')]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(asked).toEqual([code]);
  });

  it('return when the user declines, and when a proof changed nothing', async () => {
    api.on('/others', (_, response) => refuse(response, 403, 'reauthentication_required'));
    const declining = openTab({ onProofRequired: () => false });
    expect((await declining.fetch('/others')).status).toBe(403);
    expect(api.countOf('/others')).toBe(1);
    const useless = openTab({ onProofRequired: () => true });
    expect(await (await useless.fetch('/others')).json()).toMatchObject({ code: 'reauthentication_required' });
    expect(api.countOf('/others')).toBe(3);
  });

  it('for a missing factor have a callback of their own', async () => {
    let complete = false;
    api.on('/me', (_, response) =>
      complete ? reply(response, 200, {}) : refuse(response, 403, 'pending_authentication'),
    );
    const tab = openTab({ onProofRequired: () => false, onFactorRequired: () => (complete = true) });
    expect((await tab.fetch('/me')).status).toBe(200);
  });

  it('of somebody who never was signed in are no end', async () => {
    api.on('/me', (_, response) => refuse(response, 401, 'session_required'));
    const ends: SessionEnd[] = [];
    const tab = openTab({ onEnded: (end) => ends.push(end) });
    expect((await tab.fetch('/me')).status).toBe(401);
    expect(tab.state).toEqual({ status: 'signed-out', end: null });
    expect(ends).toEqual([]);
  });

  it('of other routes are none of ours', async () => {
    api.on('/login', (_, response) => refuse(response, 401, 'wrong_credentials'));
    api.on('/page', (_, response) => response.writeHead(401).end('no'));
    const tab = openTab();
    expect(await (await tab.fetch('/login')).json()).toMatchObject({ code: 'wrong_credentials' });
    expect(await (await tab.fetch('/page')).text()).toBe('no');
    expect(tab.state.status).toBe('unknown');
  });

  it('of a cookie that was replaced meanwhile are tried again', async () => {
    api.on('/me', (_, response) =>
      api.countOf('/me') === 1 ? refuse(response, 401, 'invalid_token') : reply(response, 200, {}),
    );
    const tab = openTab();
    tab.signedIn();
    expect((await tab.fetch('/me')).status).toBe(200);
    expect(tab.state.status).toBe('signed-in');
  });

  it('of a session before the present one do not end it', async () => {
    let answer: (() => void) | undefined;
    api.on('/me', (_, response) => {
      if (api.countOf('/me') > 1) reply(response, 200, {});
      else answer = () => refuse(response, 401, 'session_revoked');
    });
    const tab = openTab();
    tab.signedIn();
    const sent = tab.fetch('/me');
    await until(() => answer !== undefined);
    tab.signedIn();
    answer?.();
    expect((await sent).status).toBe(200);
    expect(tab.state.status).toBe('signed-in');
  });
});

describe('the event stream', () => {
  let streams: ServerResponse[];

  beforeEach(() => {
    streams = [];
    api.on('/events', (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('retry: 3000\n\n');
      streams.push(response);
    });
  });

  const tell = (message: object): void =>
    void streams.at(-1)?.write(`event: x\ndata: ${JSON.stringify(message)}\n\n:\n\n`);

  it('is read by one tab, which tells all that the session ended, and why', async () => {
    const ends: SessionEnd[] = [];
    const all = Array.from({ length: 5 }, () => openTab({ eventsUrl: '/events', onEnded: (end) => ends.push(end) }));
    all[0]?.signedIn();
    await until(() => streams.length > 0 && all.every(({ state }) => state.status === 'signed-in'));
    tell({ type: 'changed' });
    expect(ends).toEqual([]);
    tell({ type: 'ended', reason: 'evicted' });
    await until(() => ends.length === 5);
    expect(ends).toEqual(Array(5).fill({ code: 'session_evicted', reason: 'evicted' }));
    expect(api.countOf('/events')).toBe(1);
  });

  it('goes on in another tab when the one that read it closes', async () => {
    const ends: SessionEnd[] = [];
    const [first, second] = [
      openTab({ eventsUrl: '/events' }),
      openTab({ eventsUrl: '/events', onEnded: (end) => ends.push(end) }),
    ];
    first.signedIn();
    await until(() => streams.length === 1 && second.state.status === 'signed-in');
    first.close();
    await until(() => streams.length === 2);
    tell({ type: 'ended', reason: 'revoked' });
    await until(() => ends.length === 1);
    expect(ends).toEqual([{ code: 'session_revoked', reason: 'revoked' }]);
  });

  it('is opened again at once after a step-up, and later after it broke', async () => {
    const messages: unknown[] = [];
    const tab = openTab({ eventsUrl: '/events', onEvent: ({ type }) => messages.push(type) });
    tab.signedIn();
    await until(() => streams.length === 1);
    tell({ type: 'regenerated' });
    await until(() => messages.length === 1);
    tab.signedIn();
    await until(() => streams.length === 2);
    streams[1]?.destroy();
    await until(() => streams.length === 3);
    expect(tab.state.status).toBe('signed-in');
  });

  it('that answers 401 says why the session is over', async () => {
    api.on('/events', (_, response) => refuse(response, 401, 'session_replaced'));
    const tab = openTab({ eventsUrl: '/events' });
    tab.signedIn();
    await until(() => tab.state.status === 'signed-out');
    expect(tab.state).toEqual({ status: 'signed-out', end: { code: 'session_replaced', reason: null } });
  });
});

it('a sign-out in one tab reaches the others', async () => {
  const [first, second] = [openTab(), openTab()];
  first.signedIn();
  await until(() => second.state.status === 'signed-in');
  first.signedOut();
  await until(() => second.state.status === 'signed-out');
  expect(second.state).toEqual({ status: 'signed-out', end: { code: 'session_ended', reason: 'logout' } });
});

it('works where there are no locks', async () => {
  Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  withTokens();
  expect((await openTab({ refreshUrl: '/refresh' }).fetch('/me')).status).toBe(200);
});

describe('without a page', () => {
  it('a client that a server creates knows nothing, tells nobody, and says what to do instead', async () => {
    const onServer = openTab({ baseUrl: undefined });
    const other = openTab({ baseUrl: undefined });
    expect(onServer.state).toEqual({ status: 'unknown' });
    await expect(onServer.fetch('/me')).rejects.toThrow('set baseUrl');
    await expect(onServer.fetch(`${api.url}/me`)).rejects.toThrow('set baseUrl');
    expect(() => onServer.signedIn({ accessToken: 'of one of its users', expiresIn: 900 })).toThrow('set baseUrl');
    expect(await onServer.refresh()).toBe(false);
    onServer.signedOut();
    expect(other.state).toEqual({ status: 'unknown' });
    onServer.close();
  });

  it('works where there are no tabs, as in React Native', async () => {
    const { BroadcastChannel: given } = globalThis;
    Reflect.deleteProperty(globalThis, 'BroadcastChannel');
    try {
      const state = withTokens();
      const app = openTab({ refreshUrl: '/refresh' });
      expect((await app.fetch('/me')).status).toBe(200);
      state.current = 'another';
      expect((await app.fetch('/me')).status).toBe(200);
      app.signedOut();
      expect(app.state.status).toBe('signed-out');
      app.close();
    } finally {
      Object.assign(globalThis, { BroadcastChannel: given });
    }
  });
});
