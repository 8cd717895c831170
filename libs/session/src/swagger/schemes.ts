/** Names of the security schemes in the document. */
export const SCHEMES = { cookie: 'session-cookie', bearer: 'session-bearer' } as const;
