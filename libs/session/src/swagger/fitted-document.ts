import type { OpenAPIObject } from '@nestjs/swagger';
import type { SessionErrorCode } from '../model/errors.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { responseOf } from './api-session-errors.js';
import { type ApiErrorBody, exampleOf, nameOf } from './error-examples.js';
import { SCHEMES, schemesOf } from './schemes.js';

type Paths = OpenAPIObject['paths'];
type Operation = NonNullable<Paths[string]['get']>;
type Requirement = NonNullable<Operation['security']>[number];

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'] as const;

/** The document with the schemes that the options accept, in its components and in each route that refers to ours. */
export function fitted(document: OpenAPIObject, options: ResolvedSessionOptions): OpenAPIObject {
  const { [SCHEMES.bearer]: _bearer, ...others } = document.components?.securitySchemes ?? {};
  const schemes = schemesOf(options);
  const paths = Object.entries(document.paths).map(([path, item]) => {
    const operations = METHODS.flatMap((method) => {
      const operation = item[method];
      return operation?.security ? [[method, fittedOperation(operation, operation.security, options)] as const] : [];
    });
    return [path, { ...item, ...Object.fromEntries(operations) }] as const;
  });
  return {
    ...document,
    paths: Object.fromEntries(paths),
    components: { ...document.components, securitySchemes: { ...others, ...schemes } },
  };
}

function fittedOperation(operation: Operation, security: Requirement[], options: ResolvedSessionOptions): Operation {
  const names = Object.keys(schemesOf(options));
  const tokens = [SCHEMES.bearer, SCHEMES.dpop].filter((name) => names.includes(name));
  const accepted = security.flatMap((each) =>
    Object.hasOwn(each, SCHEMES.bearer) ? tokens.map((name) => renamed(each, name)) : [each],
  );
  // None left would read as "open to everybody": a route that only takes tokens lets nobody in without the option `jwt`.
  const requirements = accepted.length > 0 ? accepted : security;
  const has = (name: string): boolean => requirements.some((each) => Object.hasOwn(each, name));
  const codes: SessionErrorCode[] = [
    ...(has(SCHEMES.dpop) ? (['invalid_dpop_proof', 'use_dpop_nonce'] as const) : []),
    ...(has(SCHEMES.dpop) && options.jwt?.dpop?.mode === 'required' ? (['dpop_required'] as const) : []),
    ...(has(SCHEMES.cookie) && options.deviceBound?.policy === 'reject' ? (['device_binding_required'] as const) : []),
  ];
  return { ...operation, security: requirements, responses: withCodes(operation.responses, codes) };
}

/** A requirement may have further schemes, which are needed too. */
function renamed({ [SCHEMES.bearer]: scopes = [], ...others }: Requirement, name: string): Requirement {
  return { ...others, [name]: scopes };
}

/** The bodies of the errors that `@ApiSession()` described are their examples. */
function withCodes(responses: Operation['responses'], codes: readonly SessionErrorCode[]): Operation['responses'] {
  const described = responses['401'];
  if (codes.length === 0 || !described || !('content' in described)) return responses;
  const examples = Object.values(described.content?.['application/json']?.examples ?? {});
  const bodies = [...examples.map((example) => (example as { value: ApiErrorBody }).value), ...codes.map(exampleOf)];
  const { schema, examples: all, ...rest } = responseOf(401, [...new Map(bodies.map((b) => [nameOf(b), b])).values()]);
  return { ...responses, 401: { ...rest, content: { 'application/json': { schema, examples: all } } } };
}
