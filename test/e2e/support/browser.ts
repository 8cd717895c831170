export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body, or undefined when it is no JSON. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what a test reads from it, it asserts
  readonly body: any;
  readonly setCookies: string[];
}

/** A row of `GET /sessions`, as far as tests look into it. */
export interface SessionRow {
  readonly id: string;
  readonly current: boolean;
  readonly lastAccess: number;
  readonly expiresAt: number;
}

export interface Send {
  body?: unknown;
  /** Sent as it is, with the content type of JSON. */
  raw?: string;
  /** An empty value leaves a header out that would be sent otherwise. */
  headers?: Record<string, string>;
}

export const USER = { email: 'user@example.com', password: 'user-password-1' };
export const ADMIN = { email: 'admin@example.com', password: 'admin-password-1' };

/** A cookie jar and what a browser would send with it. */
export class Browser {
  readonly cookies = new Map<string, string>();

  constructor(
    /** May change between requests: a jar does not care which instance answers. */
    public url: string,
    private readonly headers: Record<string, string> = {},
    /** Hears of every secret that comes in, by cookie or in a body. */
    private readonly onToken: (value: string) => void = () => undefined,
  ) {}

  get = (path: string, send?: Send): Promise<Reply> => this.send('GET', path, send);
  post = (path: string, body?: unknown, send?: Send): Promise<Reply> => this.send('POST', path, { body, ...send });
  patch = (path: string, body?: unknown, send?: Send): Promise<Reply> => this.send('PATCH', path, { body, ...send });
  delete = (path: string, send?: Send): Promise<Reply> => this.send('DELETE', path, send);

  signIn(who: { email: string; password: string } = USER, more: Record<string, unknown> = {}): Promise<Reply> {
    return this.post('/auth/login', { ...who, ...more });
  }

  /** Signs in and fails the test when that does not work; gives the session of the answer. */
  async signedIn(who = USER, more: Record<string, unknown> = {}): Promise<{ id: string; [field: string]: unknown }> {
    const reply = await this.signIn(who, more);
    if (reply.status !== 200) throw new Error(`sign-in answered ${reply.status}: ${reply.text}`);
    return reply.body.session;
  }

  async sessions(): Promise<SessionRow[]> {
    return (await this.get('/sessions')).body as SessionRow[];
  }

  /** The secret in the session cookie, whatever its name. */
  get token(): string {
    const token = this.cookies.get('session') ?? this.cookies.get('__Host-session');
    if (token === undefined) throw new Error('this browser has no session cookie');
    return token;
  }

  /** A second jar with the same cookies: what somebody who copied them could do. */
  copy(): Browser {
    const copy = new Browser(this.url, this.headers, this.onToken);
    for (const [name, value] of this.cookies) copy.cookies.set(name, value);
    return copy;
  }

  async send(method: string, path: string, { body, raw, headers = {} }: Send = {}): Promise<Reply> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const all = {
      cookie,
      'content-type': text === undefined ? '' : 'application/json',
      'sec-fetch-site': method === 'GET' ? '' : 'same-origin',
      ...this.headers,
      ...headers,
    };
    const response = await fetch(this.url + path, {
      method,
      redirect: 'manual',
      headers: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== '')),
      ...(text !== undefined && { body: text }),
    });
    const setCookies = response.headers.getSetCookie();
    for (const line of setCookies) this.keep(line);
    const answer = await response.text();
    const parsed = parse(answer);
    for (const name of ['accessToken', 'refreshToken'] as const) {
      const token = (parsed as Record<string, unknown> | null | undefined)?.[name];
      if (typeof token === 'string') this.onToken(token);
    }
    return { status: response.status, headers: response.headers, text: answer, body: parsed, setCookies };
  }

  private keep(line: string): void {
    const { name, value, attributes } = parseSetCookie(line);
    const expires = attributes['expires'];
    const gone = attributes['max-age'] === '0' || (typeof expires === 'string' && Date.parse(expires) <= Date.now());
    if (gone) this.cookies.delete(name);
    else this.cookies.set(name, value);
    if (value !== '') this.onToken(value);
  }
}

/** Attribute names in lower case; those without a value are true. */
export function parseSetCookie(line: string): {
  name: string;
  value: string;
  attributes: Record<string, string | true>;
} {
  const [pair = '', ...rest] = line.split(/;\s*/);
  const cut = pair.indexOf('=');
  const attributes = rest.map((attribute): [string, string | true] => {
    const [name = '', value] = attribute.split(/=(.*)/s);
    return [name.toLowerCase(), value ?? true];
  });
  return { name: pair.slice(0, cut), value: pair.slice(cut + 1), attributes: Object.fromEntries(attributes) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
