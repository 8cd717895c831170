/**
 * Signs in by a request, as a client does.
 *
 * @param {string} url The application's.
 * @param {Record<string, string>} headers With the name of the user as `x-user`.
 * @returns {Promise<Record<string, string>>} The header with the credential.
 */
export async function signIn(url, headers) {
  const response = await fetch(`${url}/sign-in`, { method: 'POST', headers });
  if (!response.ok) throw new Error(`sign-in: ${response.status} ${await response.text()}`);
  const { token } = await response.clone().json();
  return token === undefined ? cookieOf(response) : { authorization: `Bearer ${token}` };
}

/** @returns {{ cookie: string }} What a client sends after this response. */
export function cookieOf(/** @type {Response} */ response) {
  const pairs = response.headers.getSetCookie().map((line) => line.split(';')[0]);
  return { cookie: pairs.join('; ') };
}
