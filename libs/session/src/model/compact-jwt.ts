/** Maximum length of this library's access tokens. Longer input is refused unread. */
export const MAX_JWT_LENGTH = 4096;

/** `typ` of an access token (RFC 9068, 2.1). */
export const ACCESS_TOKEN_TYPE = 'at+jwt';

const COMPACT = /^([A-Za-z0-9_-]{1,1024})\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;

/** The only header parameters we write, and therefore accept: no `crit`, and no key that came with the token. */
const HEADER_PARAMETERS: readonly string[] = ['alg', 'typ', 'kid'];

export interface AccessTokenHeader {
  readonly alg: string;
  readonly kid: string;
}

/**
 * The header of a compact JWS that may be one of our access tokens, or null. Checks only the form: length, alphabet, three
 * segments, `typ`, and that no parameter needs to be trusted (RFC 8725, 3; RFC 7515, 4.1.11).
 */
export function accessTokenHeader(token: unknown): AccessTokenHeader | null {
  if (typeof token !== 'string' || token.length > MAX_JWT_LENGTH) return null;
  const segment = COMPACT.exec(token)?.[1];
  if (segment === undefined) return null;
  const header = jsonObjectIn(segment);
  if (!header || Object.keys(header).some((parameter) => !HEADER_PARAMETERS.includes(parameter))) return null;
  const { alg, kid, typ } = header;
  if (typ !== ACCESS_TOKEN_TYPE || typeof alg !== 'string' || typeof kid !== 'string') return null;
  return { alg, kid };
}

/** The JSON object that a segment of a compact JWS holds, or null. */
export function jsonObjectIn(segment: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(segment, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}
