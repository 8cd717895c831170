import { parseSetCookie, type SetCookie } from 'cookie';

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what it holds is what the test asserts
  readonly body: any;
  readonly setCookies: SetCookie[];
}

export interface RequestOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: unknown;
}

/** A client with a cookie jar. Minds names and ends of cookies, and nothing else. */
export class Browser {
  readonly jar = new Map<string, string>();

  constructor(private readonly url: string) {}

  async request(path: string, { method = 'GET', headers = {}, body }: RequestOptions = {}): Promise<Reply> {
    const cookie = [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(this.url + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(cookie !== '' && { cookie }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const setCookies = response.headers.getSetCookie().map((line) => parseSetCookie(line));
    for (const { name, value, maxAge } of setCookies) {
      if (maxAge === 0 || value === undefined) this.jar.delete(name);
      else this.jar.set(name, value);
    }
    return { status: response.status, headers: response.headers, text, body: parse(text), setCookies };
  }

  async get(path: string, headers: Record<string, string> = {}): Promise<Reply> {
    return this.request(path, { headers });
  }

  async post(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Reply> {
    return this.request(path, { method: 'POST', body, headers });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
