import type { OpenAPIObject } from '@nestjs/swagger';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';

/** Names of the security schemes in the document. */
export const SCHEMES = { cookie: 'session-cookie', bearer: 'session-bearer', dpop: 'session-dpop' } as const;

type Schemes = NonNullable<NonNullable<OpenAPIObject['components']>['securitySchemes']>;

/** The schemes that an application with these options accepts, by their names. */
export function schemesOf({ cookie, jwt }: ResolvedSessionOptions): Schemes {
  return {
    [SCHEMES.cookie]: {
      type: 'apiKey',
      in: 'cookie',
      name: cookie.name,
      description: 'The session cookie. Browsers send it by themselves.',
    },
    ...(jwt &&
      jwt.dpop?.mode !== 'required' && {
        [SCHEMES.bearer]: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'An access token, which dies with its session.',
        },
      }),
    ...(jwt?.dpop && {
      [SCHEMES.dpop]: {
        type: 'http',
        scheme: 'DPoP',
        description: `An access token that is bound to a key of the client (RFC 9449). Each request has a new proof in the header \`DPoP\`, signed by ${jwt.dpop.algorithms.join(', ')}.`,
      },
    }),
  };
}
