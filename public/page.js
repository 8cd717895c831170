import { SessionClient } from '/client/index.js';
import { ACCOUNTS, demoCode } from './demo.js';
import { ago, place, whatHappened, whyOver } from './words.js';

/** Present enough to be called active, ms: accesses are recorded once a minute. */
const ACTIVE = 2 * 60_000;

const session = new SessionClient({ eventsUrl: '/events', onProofRequired, onFactorRequired, onEvent });

/** The server's clock less this one's, ms. */
let offset = 0;
let email = '';
/** The account to go back to while another one is being added; null while none is. @type {{ id: string } | null} */
let addingTo = null;
/** The account that waits for its code while it is being added. */
let waiting = '';
/** @type {((proved: boolean) => void) | undefined} */
let factorGiven;

session.subscribe(() => {
  const { status, end } = session.state;
  if (status === 'signed-in') void showAccount();
  else showSignIn(end ? whyOver(end) : '');
});
void start();

async function start() {
  fillDemo();
  const me = await session.fetch('/me');
  if (me.ok) session.signedIn();
  else if (me.status >= 500) notify('The server does not answer at the moment. Try again in a moment.');
}

// What is shown

/** @param {'sign-in' | 'factor' | 'account'} name */
function show(name) {
  for (const each of ['sign-in', 'factor', 'account']) at(`view-${each}`).hidden = each !== name;
  at('who').hidden = name !== 'account';
  if (name !== 'account') at('acting').hidden = true;
}

/** With what to say of the session before. @param {string} why */
function showSignIn(why) {
  notify(why);
  addingTo = null;
  closeProof();
  factorGiven?.(false);
  // Nothing of the session stays in the page (ASVS 14.3.1).
  email = '';
  for (const id of ['who-email', 'acting-as', 'devices', 'accounts', 'activity', 'users', 'user-sessions'])
    at(id).replaceChildren();
  showSignInForm(null);
  (why === '' ? field('sign-in', 'email') : at('notice')).focus();
  void showParked();
}

/** @param {{ id: string } | null} account The one in use, if another one is to be added. */
function showSignInForm(account) {
  addingTo = account;
  at('sign-in').reset();
  showError('sign-in', '');
  at('add-cancel').hidden = account === null;
  at('parked').hidden = true;
  at('sign-in-title').textContent = account ? 'Add an account' : 'Sign in';
  document.title = account ? 'Add an account' : 'Sign in';
  show('sign-in');
}

/** Accounts that the browser is signed in to while none is in use. */
async function showParked() {
  const accounts = (await readJson('/accounts').catch(() => null)) ?? [];
  if (session.state.status === 'signed-in' || addingTo) return;
  at('parked-accounts').replaceChildren(...accounts.map((account) => accountRow(account, showParked)));
  at('parked').hidden = accounts.length === 0;
}

async function showAccount() {
  // There are no routes of accounts where sessions are bound to devices.
  const [me, sessions, activity, accounts] = await Promise.all(
    ['/me', '/sessions', '/sessions/history', '/accounts'].map(readJson),
  );
  if (!me || !sessions || !activity || session.state.status !== 'signed-in' || addingTo) return;
  const wasHidden = at('view-account').hidden;
  const actor = sessions.find(({ current }) => current)?.actor ?? null;
  email = me.email;
  at('who-email').textContent = me.email;
  at('acting').hidden = actor === null;
  at('acting-as').textContent = me.email;
  at('admin').hidden = !me.roles.includes('admin');
  for (const id of ['end-others', 'end-all']) at(id).hidden = actor !== null;
  at('end-others').hidden ||= sessions.length < 2;
  at('devices').replaceChildren(
    ...sessions.map((each) => deviceRow(each, actor === null ? () => endOne(each) : null, 'h2')),
  );
  at('accounts-card').hidden = actor !== null || !accounts;
  at('accounts').replaceChildren(...(accounts ?? []).map((account) => accountRow(account, showAccount)));
  at('sign-out').textContent = (accounts ?? []).length > 1 ? 'Sign out of all accounts' : 'Sign out';
  at('activity').replaceChildren(...activity.slice(0, 12).map(activityRow));
  document.title = 'Where you’re signed in';
  show('account');
  if (wasHidden) {
    notify('');
    at('devices-title').focus();
  }
}

function deviceRow(device, onEnd, heading = 'h3') {
  const title = device.deviceName ?? device.client ?? 'Unknown device';
  const isActive = device.current || now() - device.lastAccess < ACTIVE;
  const details = [
    ...(device.client && device.client !== title ? [device.client] : []),
    place(device),
    isActive ? 'Active now' : `Last active ${ago(now() - device.lastAccess)}`,
  ];
  const badges = [
    ...(device.current ? ['This device'] : []),
    ...(device.deviceBound ? ['Protected by this device'] : []),
    ...(device.rememberMe ? ['Remembered'] : []),
    ...(device.actor ? ['Administrator'] : []),
  ];
  const icon = document.getElementById(`icon-${device.deviceType}`) ?? at('icon-unknown');
  const row = make('li', {}, [
    icon.content.cloneNode(true),
    make('div', {}, [
      make(heading, {}, [title]),
      make('p', { className: 'detail' }, [details.join(' · ')]),
      make('p', { className: 'detail' }, [`Signed in ${ago(now() - device.createdAt)}`]),
      ...(badges.length > 0
        ? [
            make(
              'p',
              { className: 'badges' },
              badges.map((text) => make('span', { className: 'badge' }, [text])),
            ),
          ]
        : []),
    ]),
  ]);
  if (onEnd) row.append(button('Sign out', onEnd, { label: `Sign out ${title}` }));
  return row;
}

function accountRow(account, onSignedOut) {
  const signOutOne = async () => {
    await send('DELETE', `/accounts/${account.id}`);
    say(`Signed out of ${account.email}.`);
    await onSignedOut();
    (at('view-account').hidden ? at('sign-in-title') : at('accounts-title')).focus();
  };
  return make('li', { className: 'wide' }, [
    make('div', {}, [
      make('h3', {}, [account.email]),
      ...(account.current
        ? [make('p', { className: 'badges' }, [make('span', { className: 'badge' }, ['In use'])])]
        : [make('p', { className: 'detail' }, [`Signed in ${ago(now() - account.createdAt)}`])]),
    ]),
    ...(account.current
      ? []
      : [
          make('div', { className: 'actions' }, [
            button('Switch', () => switchTo(account), { label: `Switch to ${account.email}` }),
            button('Sign out', signOutOne, { label: `Sign out of ${account.email}` }),
          ]),
        ]),
  ]);
}

async function switchTo({ id, email: name }) {
  await send('POST', '/accounts/switch', { id });
  // The other tabs go on with this account as well.
  session.signedIn();
  await showAccount();
  say(`You now use ${name}.`);
  at('accounts-title').focus();
}

function activityRow(entry) {
  const where = [entry.deviceName, entry.ip && place({ ip: entry.ip, lastLocation: null })].filter(Boolean).join(' · ');
  return make('li', {}, [
    make('span', {}, [`${whatHappened(entry)}${entry.current ? ' (this device)' : ''}`]),
    make('span', { className: 'detail' }, [[where, ago(now() - entry.at)].filter(Boolean).join(' · ')]),
  ]);
}

// Signing in and out

onSubmit('sign-in', async (form) => {
  notify('');
  const body = {
    email: form.get('email'),
    password: form.get('password'),
    rememberMe: form.get('rememberMe') !== null,
    addAccount: addingTo !== null,
  };
  const reply = await send('POST', '/auth/login', body);
  field('sign-in', 'password').value = '';
  const { session: started } = await reply.json();
  waiting = started.id;
  if (started.pending && !(await onFactorRequired())) return;
  addingTo = null;
  session.signedIn();
});

onClick('add-account', async () => {
  const current = (await readJson('/accounts'))?.find((account) => account.current);
  if (!current) return;
  notify('');
  showSignInForm(current);
  field('sign-in', 'email').focus();
});

onClick('add-cancel', async () => {
  addingTo = null;
  await showAccount();
});

onSubmit('factor', async (form) => {
  await send('POST', '/auth/second-factor', { code: form.get('code') });
  field('factor', 'code').value = '';
  factorGiven?.(true);
});

onClick('factor-cancel', async () => {
  if (addingTo) {
    const before = addingTo;
    await send('DELETE', `/accounts/${waiting}`);
    factorGiven?.(false);
    addingTo = null;
    return switchTo({ ...before, email });
  }
  await send('POST', '/auth/logout');
  factorGiven?.(false);
  // Other tabs may wait for the code as well.
  session.signedOut();
  showSignIn('You are signed out.');
});

onClick('sign-out', signOut);

onClick('end-others', async () => {
  const { ended } = await (await send('POST', '/auth/logout-others')).json();
  say(ended === 1 ? 'Signed out one other device.' : `Signed out ${ended} other devices.`);
  await showAccount();
});

onClick('end-all', async () => {
  await send('POST', '/auth/logout-all');
  session.signedOut();
});

async function signOut() {
  await send('POST', '/auth/logout');
  session.signedOut();
}

async function endOne(device) {
  if (device.current) return signOut();
  await send('DELETE', `/sessions/${device.id}`);
  say(`Signed out ${device.deviceName ?? 'the device'}.`);
  await showAccount();
  at('devices-title').focus();
}

// Proofs

/** The server wants the password again. Resolves to whether it was given. */
function onProofRequired() {
  const dialog = at('proof');
  field('proof-form', 'username').value = email;
  showError('proof-form', '');
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'proved'), { once: true });
  });
}

onSubmit('proof-form', async (form) => {
  await send('POST', '/auth/step-up', { password: form.get('password') });
  field('proof-form', 'password').value = '';
  at('proof').close('proved');
  // The cookie is another one now: the event stream has to be opened with it.
  session.signedIn();
});

onClick('proof-cancel', closeProof);

function closeProof() {
  field('proof-form', 'password').value = '';
  at('proof').close('');
}

/** The password was right and a code is missing. */
function onFactorRequired() {
  document.title = 'Two-step verification';
  show('factor');
  at('factor-title').focus();
  void demoCode().then((code) => {
    at('demo-code').textContent = `In this demo the page is your authenticator app: the code is ${code}.`;
    at('demo-code').hidden = false;
  });
  return new Promise((resolve) => {
    factorGiven = (proved) => {
      factorGiven = undefined;
      resolve(proved);
    };
  });
}

// Administration

onSubmit('find', async (form) => {
  const query = new URLSearchParams({ query: String(form.get('query')) });
  const users = (await readJson(`/admin/users?${query}`)) ?? [];
  at('user-sessions').replaceChildren();
  at('users').replaceChildren(...users.map(userRow));
  say(users.length === 1 ? 'One user found.' : `${users.length} users found.`);
});

function userRow(user) {
  const row = make('li', { className: 'wide' }, [
    make('div', {}, [make('h3', {}, [user.email]), make('p', { className: 'detail' }, [user.roles.join(', ')])]),
    make('div', { className: 'actions' }, [
      button('Sessions', () => showSessionsOf(user), { label: `Sessions of ${user.email}` }),
      ...(user.email === email ? [] : [button('Act as', () => actAs(user), { label: `Act as ${user.email}` })]),
    ]),
  ]);
  return row;
}

async function showSessionsOf(user) {
  const path = `/admin/users/${user.id}/sessions`;
  const sessions = (await readJson(path)) ?? [];
  const end = (each) => async () => {
    await send('DELETE', `${path}/${each.id}`);
    say('The session was ended.');
    await showSessionsOf(user);
  };
  const endAll = async () => {
    await send('DELETE', path);
    say(`All sessions of ${user.email} were ended.`);
    await showSessionsOf(user);
  };
  at('user-sessions').replaceChildren(
    make('h3', {}, [`Sessions of ${user.email}`]),
    sessions.length === 0
      ? make('p', { className: 'hint' }, ['Not signed in anywhere.'])
      : make(
          'ul',
          { className: 'rows' },
          sessions.map((each) => deviceRow(each, each.current ? null : end(each))),
        ),
    ...(sessions.length > 0 && user.email !== email ? [button('End all of them', endAll, { danger: true })] : []),
  );
}

async function actAs(user) {
  await send('POST', `/admin/users/${user.id}/impersonate`);
  at('users').replaceChildren();
  at('user-sessions').replaceChildren();
  session.signedIn();
}

onClick('return', async () => {
  await send('POST', '/auth/end-impersonation');
  session.signedIn();
});

// Small things

/** A refused answer, with what to say of it. */
class Refused extends Error {}

/** @throws {Refused} */
async function send(method, path, body) {
  const response = await session.fetch(path, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  keepTime(response);
  if (response.ok) return response;
  const { message } = await response.json().catch(() => ({}));
  throw new Refused(typeof message === 'string' ? message : 'That did not work. Try again.');
}

/** The parsed answer, or null where there is none for us. */
async function readJson(path) {
  const response = await session.fetch(path);
  keepTime(response);
  return response.ok ? response.json() : null;
}

/** This computer's clock may be wrong, and the instants are the server's. */
function keepTime(response) {
  const date = Date.parse(response.headers.get('date') ?? '');
  if (!Number.isNaN(date)) offset = date - Date.now();
}

function now() {
  return Date.now() + offset;
}

function at(id) {
  return document.getElementById(id);
}

function field(form, name) {
  return at(form).elements.namedItem(name);
}

function make(tag, properties, children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function button(text, work, { label = text, danger = false } = {}) {
  const element = make('button', { type: 'button', className: danger ? 'plain danger' : 'plain' }, [text]);
  if (label !== text) element.setAttribute('aria-label', label);
  element.addEventListener('click', () => void run(element, work));
  return element;
}

function onClick(id, work) {
  at(id).addEventListener('click', () => void run(at(id), work));
}

/** Runs what a button is for, once at a time. What is refused is said. */
async function run(element, work) {
  element.disabled = true;
  try {
    await work();
  } catch (error) {
    say(error instanceof Refused ? error.message : 'The server does not answer. Try again.');
  } finally {
    element.disabled = false;
  }
}

function onSubmit(id, work) {
  const form = at(id);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const submit = form.querySelector('[type=submit]');
    const data = new FormData(form);
    showError(id, '');
    submit.disabled = true;
    try {
      await work(data);
    } catch (error) {
      showError(id, error instanceof Refused ? error.message : 'The server does not answer. Try again.');
    } finally {
      submit.disabled = false;
    }
  });
}

function showError(id, text) {
  const error = at(id).querySelector('.error');
  if (!error) return say(text);
  error.textContent = text;
  error.hidden = text === '';
}

/** Says it for a few seconds, also to screen readers. */
function say(text) {
  at('status').textContent = text;
  if (text !== '') setTimeout(() => at('status').textContent === text && say(''), 6_000);
}

/** Says it until the next sign-in. */
function notify(text) {
  at('notice').textContent = text;
  at('notice').hidden = text === '';
}

function fillDemo() {
  at('demo').replaceChildren(
    ...ACCOUNTS.map((account) =>
      make('li', {}, [
        make('span', {}, [`${account.what}: ${account.email}`]),
        button(
          'Fill in',
          () => {
            field('sign-in', 'email').value = account.email;
            field('sign-in', 'password').value = account.password;
            at('sign-in').querySelector('[type=submit]').focus();
          },
          { label: `Fill in ${account.email}` },
        ),
      ]),
    ),
  );
}

/** The browser binds the session to its device shortly after the sign-in. */
function onEvent({ type }) {
  if (type === 'bound' && session.state.status === 'signed-in' && !addingTo) void showAccount();
}

// A user who comes back to the page sees the present state.
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible' && session.state.status === 'signed-in' && !addingTo) void showAccount();
});
