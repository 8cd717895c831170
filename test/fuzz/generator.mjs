// eslint-disable-next-line @typescript-eslint/ban-ts-comment -- a script that builds nonsense on purpose; it is run, not compiled
// @ts-nocheck
const GUARDED = [
  ['GET', '/me'],
  ['GET', '/sessions'],
  ['GET', '/sessions/history'],
  ['PATCH', '/me/preferences'],
  ['DELETE', '/sessions/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
  ['DELETE', '/devices/some-device'],
  ['GET', '/admin/users/1/sessions'],
  ['DELETE', '/admin/users/1/sessions'],
  ['POST', '/auth/step-up'],
  ['POST', '/auth/refresh'],
];
/** Answer success without a session, as there is nothing to end. */
const UNGUARDED = [
  ['POST', '/auth/logout'],
  ['POST', '/auth/logout-others'],
  ['POST', '/auth/logout-all'],
];
const CHARACTERS = [
  '\0',
  '\t',
  ' ',
  '"',
  ',',
  ';',
  '=',
  '.',
  '_',
  '-',
  '%',
  '\\',
  '/',
  '\x7f',
  '\x80',
  'ÿ',
  'A',
  'z',
  '0',
];
const VALUES = [
  null,
  true,
  0,
  -1,
  1e308,
  '',
  'x',
  [],
  {},
  [[]],
  { a: { b: [null] } },
  '\u0000',
  '\ud800',
  'ÿ'.repeat(300),
];

/** Draws requests from a seed: the same seed gives the same requests. */
export class Generator {
  #state;
  #tokens;

  constructor(seed, { ended, live }) {
    this.#state = seed >>> 0;
    const cookieOf = ({ cookie }) => cookie.slice(cookie.indexOf('=') + 1);
    this.#tokens = {
      // As they were: of an ended session nothing opens anything.
      ended: [cookieOf(ended), ended.accessToken, ended.refreshToken],
      live: [cookieOf(live), live.accessToken, live.refreshToken],
    };
  }

  next() {
    const isGuarded = this.#chance(0.9);
    const [method, path] = this.#pick(isGuarded ? GUARDED : UNGUARDED);
    const headers = [['Host', '127.0.0.1']];
    const draws = [
      () => headers.push(['Cookie', this.#cookie()]),
      () => headers.push(['Authorization', this.#authorization()]),
      () => headers.push([this.#pick(['Sec-Fetch-Site', 'Origin', 'X-Forwarded-For', 'User-Agent']), this.#text(40)]),
      () =>
        headers.push([
          this.#pick(['Accept', 'Sec-CH-UA', 'Content-Language', 'X-Request-Id', 'Forwarded']),
          this.#text(80),
        ]),
    ];
    for (const draw of draws) if (this.#chance(0.6)) draw();
    const body = method === 'GET' ? '' : this.#body();
    if (body !== '')
      headers.push([
        'Content-Type',
        this.#pick(['application/json', 'application/json', 'text/plain', this.#text(20)]),
      ]);
    if (method !== 'GET') headers.push(['Content-Length', String(Buffer.byteLength(body, 'latin1'))]);
    const query = this.#chance(0.2) ? `?${encodeURIComponent(this.#text(20))}` : '';
    const lines = headers.map(([name, value]) => `${name}: ${value.replace(/[\r\n]/g, ' ')}\r\n`);
    return {
      isGuarded,
      bytes: Buffer.from(`${method} ${path}${query} HTTP/1.1\r\n${lines.join('')}\r\n${body}`, 'latin1'),
    };
  }

  #cookie() {
    const count = 1 + this.#below(3);
    const pair = () =>
      `${this.#pick(['session', 'session', 'session', '__Host-session', 'actor', this.#text(8)])}=${this.#token()}`;
    return Array.from({ length: count }, pair).join(this.#pick(['; ', ';', ',', ' ']));
  }

  #authorization() {
    return `${this.#pick(['Bearer ', 'bearer ', 'Bearer', 'Bearer  ', 'Basic ', 'DPoP ', ''])}${this.#token()}`;
  }

  /** Never the unchanged token of the live session. */
  #token() {
    const kind = this.#below(5);
    if (kind === 0) return this.#text(1 + this.#below(200));
    if (kind === 1) return this.#pick(this.#tokens.ended);
    if (kind === 2) return this.#mutated(this.#pick(this.#tokens.ended));
    if (kind === 3) return this.#mutated(this.#pick(this.#tokens.live));
    return `s_${this.#text(32)}.${this.#text(22)}.${this.#below(9)}.${this.#text(43)}`;
  }

  #mutated(token) {
    let text = token;
    for (let n = 1 + this.#below(3); n > 0; n -= 1) {
      const at = this.#below(text.length + 1);
      const change = this.#below(5);
      if (change === 0) text = text.slice(0, at) + this.#pick(CHARACTERS) + text.slice(at + 1);
      if (change === 1) text = text.slice(0, at) + text.slice(at + 1 + this.#below(4));
      if (change === 2) text = text.slice(0, at) + this.#text(3) + text.slice(at);
      if (change === 3) text = text.slice(at) + text.slice(0, at);
      if (change === 4) text = text.split('.').reverse().join('.');
    }
    return text.trim() === token ? `${token}x` : text;
  }

  #body() {
    const kind = this.#below(5);
    if (kind === 0) return this.#text(this.#below(300));
    if (kind === 1) return '{'.repeat(this.#below(2_000));
    const object = {};
    for (let n = this.#below(5); n > 0; n -= 1) object[this.#key()] = this.#value();
    const text = JSON.stringify(object);
    const escaped = text.replace(
      /[^\x20-\x7e]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    return kind === 2 ? escaped.slice(0, this.#below(escaped.length)) : escaped;
  }

  #key() {
    return this.#pick([
      'refreshToken',
      'password',
      'theme',
      'language',
      '__proto__',
      'constructor',
      'deviceId',
      '',
      this.#text(6),
    ]);
  }

  #value() {
    return this.#chance(0.3) ? this.#token() : this.#pick(VALUES);
  }

  #text(length) {
    let text = '';
    for (let n = 0; n < length; n += 1) {
      text += this.#chance(0.7) ? String.fromCharCode(33 + this.#below(94)) : this.#pick(CHARACTERS);
    }
    return text;
  }

  #pick(list) {
    return list[this.#below(list.length)];
  }

  #chance(share) {
    return this.#random() < share;
  }

  #below(bound) {
    return Math.floor(this.#random() * bound);
  }

  /** mulberry32. */
  #random() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }
}
