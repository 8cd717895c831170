/** The body of an answer that refuses something: `{ statusCode, error, code, message }`. */
export interface Refusal {
  readonly statusCode: number;
  /** Stable; see the page on errors. */
  readonly code: string;
  readonly message: string;
}

/** Why a session is over. */
export interface SessionEnd {
  /** `session_expired`, `session_evicted`, `session_replaced`, `session_revoked`, `session_ended`, or `invalid_token` and `session_required` where the server no longer knows why. */
  readonly code: string;
  /** The end reason, such as `evicted`, if the server told it; only its event stream does. */
  readonly reason: string | null;
}

const CODE_OF_REASON: Readonly<Record<string, string>> = {
  logout: 'session_ended',
  idle: 'session_expired',
  absolute: 'session_expired',
  evicted: 'session_evicted',
  replaced: 'session_replaced',
};

export function endOf(reason: unknown): SessionEnd {
  if (typeof reason !== 'string') return { code: 'invalid_token', reason: null };
  return { code: CODE_OF_REASON[reason] ?? 'session_revoked', reason };
}

/** What a 401 or 403 of the library says; null for other answers, whose bodies are not read. */
export async function refusalIn(response: Response): Promise<Refusal | null> {
  if (response.status !== 401 && response.status !== 403) return null;
  const body = (await response
    .clone()
    .json()
    .catch(() => null)) as Partial<Refusal> | null;
  if (typeof body?.code !== 'string') return null;
  return { statusCode: response.status, code: body.code, message: body.message ?? '' };
}
