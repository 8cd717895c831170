// Over 300 lines because it is one public class, and much of it is documentation.
import { absolute, alone, delay, isRenderedByServer, nobodyWaits, openChannel } from './browser.js';
import { readEvents } from './event-stream.js';
import { endOf, refusalIn, type Refusal, type SessionEnd } from './refusal.js';

/** What the user must do before a refused request can succeed. May be asynchronous, such as a dialog. */
export type ProofPrompt = (refusal: Refusal) => boolean | Promise<boolean>;

/** An access token, as sign-in and refresh answer it. */
export interface AccessTokenReply {
  readonly accessToken?: string | null;
  /** Seconds for which it is good. */
  readonly expiresIn?: number;
}

/** What a page knows of its session. A new object at each change. */
export type SessionState =
  | { readonly status: 'unknown' | 'signed-in' }
  /** `end` is null if there was no session to begin with. */
  | { readonly status: 'signed-out'; readonly end: SessionEnd | null };

export interface SessionClientOptions {
  /**
   * The API. Credentials go to addresses below it and nowhere else. Default: the page's own origin. Needed where there is
   * no page, as in React Native; without it, a client that a server creates while it renders a page sends nothing.
   */
  baseUrl?: string;
  /**
   * Where `POST` answers `{ accessToken, expiresIn }` to a refresh token in a cookie (`jwt.refreshCookie`). Default: none;
   * the session cookie does everything.
   */
  refreshUrl?: string;
  /** Where `SessionStreams` tells what happens to the session. Default: none; an end shows at the next request. */
  eventsUrl?: string;
  /** Separates clients of different APIs on one origin. Default `session`. */
  name?: string;
  /**
   * A request was refused with `reauthentication_required` or `step_up_required`. Ask for the proof and answer true: the
   * request is then sent again. Asked once, however many requests wait for it. Default: the refusal is returned.
   */
  onProofRequired?: ProofPrompt;
  /** The same for `pending_authentication`: a second factor is missing. */
  onFactorRequired?: ProofPrompt;
  /** The session of this browser ended; called once in each tab. */
  onEnded?: (end: SessionEnd) => void;
  /** Any other message of the event stream, in the one tab that reads it. */
  onEvent?: (message: Readonly<Record<string, unknown>>) => void;
}

type Message =
  | { readonly type: 'hello' }
  | { readonly type: 'token' | 'started'; readonly token: Token | undefined }
  | { readonly type: 'ended'; readonly end: SessionEnd };

interface Token {
  readonly value: string;
  /** Epoch ms by this machine's clock: shortly before it expires. */
  readonly renewAt: number;
}

/** The part of its life after which an access token is renewed. */
const RENEW = 0.9;
/** How long a new tab waits for a token of another one before it refreshes, ms. */
const HELLO = 50;
/** Before a stream that ended is opened again, ms; up to twice as long. */
const RETRY = 1_500;
const ON_A_SERVER =
  'SessionClient: there is no page here. On a server, send requests with the fetch and the cookies of the request that it answers; anywhere else, set baseUrl.';
/** Before a request is sent again whose cookie may just have been replaced, ms. */
const REPLACED = 300;

/**
 * The session of a page in a browser: `fetch` with its credentials, one refresh for all tabs, and the news that it ended.
 * Works with the session cookie alone, and with access tokens, which it keeps in memory and nowhere else.
 *
 * ```ts
 * const session = new SessionClient({ eventsUrl: '/events', onEnded: ({ code }) => showSignIn(code) });
 * if ((await session.fetch('/me')).ok) session.signedIn();
 * ```
 */
export class SessionClient {
  /** Null while a server renders the page. */
  readonly #base: string | null;
  readonly #name: string;
  readonly #options: SessionClientOptions;
  readonly #channel: ReturnType<typeof openChannel>;
  readonly #listeners = new Set<() => void>();
  readonly #prompts = new Map<ProofPrompt, Promise<boolean>>();
  #state: SessionState = { status: 'unknown' };
  #token: Token | undefined;
  /** Changes with each sign-in: a refusal of an earlier session says nothing of this one. */
  #epoch = 0;
  #refreshing: Promise<boolean> | undefined;
  /** Aborted when another tab has refreshed. */
  #waiting = new AbortController();
  /** Aborted when there is nothing to follow any more. */
  #following = new AbortController();
  readonly #saidHello = Date.now();

  constructor(options: SessionClientOptions = {}) {
    this.#options = options;
    this.#name = `nestjs-sessions:${options.name ?? 'session'}`;
    if (options.baseUrl === undefined && isRenderedByServer()) {
      // One client of a module serves all users of the server: it must not hear of anybody's session.
      this.#base = null;
      this.#channel = null;
      return;
    }
    this.#base = absolute(options.baseUrl ?? '/').replace(/\/?$/, '/');
    this.#channel = openChannel(this.#name);
    if (this.#channel) this.#channel.onmessage = ({ data }: { data: unknown }) => this.#hear(data as Message);
    this.#say({ type: 'hello' });
  }

  /** What is known of the session. `signedIn` and every end change it, in all tabs. */
  get state(): SessionState {
    return this.#state;
  }

  /** Calls the listener at each change of `state`. Returns what ends that. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /**
   * Like `fetch`, with the session's credentials. Addresses are relative to `baseUrl`; a request to anywhere else is sent
   * without credentials of ours. A request that was refused for an expired access token, or for a proof that the user
   * then gave, is sent again, once for each reason. The body must fit in memory.
   */
  readonly fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    if (this.#base === null) throw new TypeError(ON_A_SERVER);
    const given = input instanceof Request ? input : absolute(String(input), this.#base);
    if (!(typeof given === 'string' ? given : given.url).startsWith(this.#base)) return fetch(given, init);
    const request = new Request(given, { credentials: 'include', ...init });
    const handled = new Set<string>();
    for (;;) {
      const epoch = this.#epoch;
      const token = request.headers.has('authorization') ? undefined : await this.#usableToken();
      const attempt = request.clone();
      if (token !== undefined) attempt.headers.set('authorization', `Bearer ${token}`);
      const response = await fetch(attempt);
      const refusal = await refusalIn(response);
      if (!refusal) return response;
      const isFirst = !handled.has(refusal.code);
      handled.add(refusal.code);
      if (isFirst && epoch !== this.#epoch) continue;
      if (!(await this.#overcome(refusal, token, isFirst))) return response;
    }
  };

  /**
   * Gets a new access token, one for all tabs. False if there is none to be had: the session ended, or the server does
   * not answer.
   */
  async refresh(): Promise<boolean> {
    return this.#renew(this.#token?.value);
  }

  /**
   * The user has signed in, stepped up, or was found signed in. Call it with the answer if it holds an access token. Every
   * tab goes on with this session, and one of them follows its events.
   */
  signedIn(reply: AccessTokenReply = {}): void {
    if (this.#base === null) throw new TypeError(ON_A_SERVER);
    const token = this.#options.refreshUrl === undefined ? undefined : tokenIn(reply);
    this.#say({ type: 'started', token });
    this.#start(token);
  }

  /** The user has signed out in this tab: tells the others. */
  signedOut(): void {
    this.#end(endOf('logout'));
  }

  /** Ends what runs in the background; for tests and pages that leave the client behind. */
  close(): void {
    this.#following.abort();
    this.#waiting.abort();
    this.#channel?.close();
    this.#listeners.clear();
  }

  /** Whether the refused request is worth sending again. */
  async #overcome({ code, ...refusal }: Refusal, token: string | undefined, isFirst: boolean): Promise<boolean> {
    const { onProofRequired, onFactorRequired, refreshUrl } = this.#options;
    switch (code) {
      case 'reauthentication_required':
      case 'step_up_required':
        return isFirst && this.#ask(onProofRequired, { code, ...refusal });
      case 'pending_authentication':
        return isFirst && this.#ask(onFactorRequired, { code, ...refusal });
      case 'invalid_token':
      case 'session_required':
        if (isFirst && refreshUrl !== undefined) return this.#renew(token);
        // A step-up of another tab may have replaced the cookie while the request was under way.
        if (isFirst && code === 'invalid_token') return delay(REPLACED).then(() => true);
        break;
      case 'session_expired':
      case 'session_evicted':
      case 'session_replaced':
      case 'session_revoked':
      case 'session_ended':
        break;
      default:
        return false;
    }
    this.#end({ code, reason: null });
    return false;
  }

  #ask(prompt: ProofPrompt | undefined, refusal: Refusal): boolean | Promise<boolean> {
    if (!prompt) return false;
    const open =
      this.#prompts.get(prompt) ??
      Promise.resolve(refusal)
        .then(prompt)
        .finally(() => this.#prompts.delete(prompt));
    this.#prompts.set(prompt, open);
    return open;
  }

  async #usableToken(): Promise<string | undefined> {
    const token = this.#token;
    if (token && token.renewAt < Date.now()) await this.#renew(token.value);
    return this.#token?.value;
  }

  async #renew(refused: string | undefined): Promise<boolean> {
    if (this.#hasOtherThan(refused)) return true;
    this.#refreshing ??= this.#renewForAll(refused).finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  async #renewForAll(refused: string | undefined): Promise<boolean> {
    const lock = `${this.#name}:refresh`;
    const { signal } = (this.#waiting = new AbortController());
    try {
      return await alone(lock, signal, async () => {
        if (refused === undefined) await delay(this.#saidHello + HELLO - Date.now(), signal);
        if (this.#hasOtherThan(refused)) return true;
        if (!(await this.#callRefresh())) return false;
        // Released only now, so that no tab that waited refreshes again.
        await nobodyWaits(lock);
        return true;
      });
    } catch (error) {
      if (!signal.aborted) throw error;
      return this.#hasOtherThan(refused);
    }
  }

  async #callRefresh(): Promise<boolean> {
    const { refreshUrl } = this.#options;
    if (refreshUrl === undefined || this.#base === null) return false;
    const response = await fetch(absolute(refreshUrl, this.#base), { method: 'POST', credentials: 'include' });
    if (!response.ok) {
      const { code } = (await refusalIn(response)) ?? {};
      if (response.status === 401 && code !== undefined) this.#end({ code, reason: null });
      return false;
    }
    const token = tokenIn((await response.json()) as AccessTokenReply);
    this.#token = token;
    this.#say({ type: 'token', token });
    if (this.#state.status !== 'signed-in') this.#start(token);
    return token !== undefined;
  }

  #hasOtherThan(refused: string | undefined): boolean {
    return this.#token !== undefined && this.#token.value !== refused;
  }

  #hear(message: Message): void {
    if (message.type === 'hello') {
      if (this.#token) this.#say({ type: 'token', token: this.#token });
      return;
    }
    if (message.type === 'ended') this.#over(message.end);
    else if (message.type === 'started') this.#start(message.token);
    else this.#token = message.token;
    this.#waiting.abort();
  }

  #say(message: Message): void {
    this.#channel?.postMessage(message);
  }

  #start(token: Token | undefined): void {
    this.#epoch += 1;
    this.#token = token;
    this.#following.abort();
    this.#following = new AbortController();
    void this.#follow(this.#following.signal);
    this.#change({ status: 'signed-in' });
  }

  #end(end: SessionEnd): void {
    if (this.#state.status === 'signed-out') return;
    this.#say({ type: 'ended', end });
    this.#over(end);
  }

  #over(end: SessionEnd): void {
    const { status } = this.#state;
    if (status === 'signed-out') return;
    this.#token = undefined;
    this.#following.abort();
    const hadNone = end.code === 'session_required' && status === 'unknown';
    this.#change({ status: 'signed-out', end: hadNone ? null : end });
    if (!hadNone) this.#options.onEnded?.(end);
  }

  #change(state: SessionState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }

  /** One tab reads the stream for all: HTTP/1.1 has six connections for a host. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { eventsUrl } = this.#options;
    if (eventsUrl === undefined) return;
    const read = async (): Promise<void> => {
      while (!signal.aborted) {
        if (!(await this.#readOnce(eventsUrl, signal))) return;
        await delay(RETRY * (1 + Math.random()), signal);
      }
    };
    // Aborted while it waited for the lock: another session is followed, or none.
    await alone(`${this.#name}:events`, signal, read).catch(() => undefined);
  }

  /** False if trying again is pointless. */
  async #readOnce(url: string, signal: AbortSignal): Promise<boolean> {
    try {
      const response = await this.fetch(url, { signal, headers: { accept: 'text/event-stream' } });
      const { status, body } = response;
      if (!response.ok || !body) return status === 429 || status >= 500;
      await readEvents(body, (message) => {
        if (message['type'] === 'ended') this.#end(endOf(message['reason']));
        else this.#options.onEvent?.(message);
      });
    } catch {
      // The connection broke.
    }
    return true;
  }
}

function tokenIn({ accessToken, expiresIn = 0 }: AccessTokenReply): Token | undefined {
  if (accessToken == null) return undefined;
  return { value: accessToken, renewAt: Date.now() + expiresIn * 1000 * RENEW };
}
