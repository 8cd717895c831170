import { applyDecorators } from '@nestjs/common';
import { ApiResponse } from '@nestjs/swagger';
import { STATUS_CODES } from 'node:http';
import type { SessionErrorCode } from '../model/errors.js';
import { type ApiErrorBody, exampleOf, nameOf } from './error-examples.js';

export interface ApiSessionErrorOptions {
  /** Codes of this library that the routes answer with, such as `session_limit_reached` for a sign-in. */
  codes?: readonly SessionErrorCode[];
  /** Errors of the application's own, as the response has them. Those of a status stand beside the library's. */
  errors?: readonly ApiErrorBody[];
}

/** Headers that belong to a status. */
const HEADERS: Readonly<Record<number, Record<string, { description: string; schema: { type: 'string' } }>>> = {
  401: { 'WWW-Authenticate': { description: 'RFC 6750', schema: { type: 'string' } } },
  429: { 'Retry-After': { description: 'Seconds', schema: { type: 'string' } } },
  503: { 'Retry-After': { description: 'Seconds', schema: { type: 'string' } } },
};

/**
 * Describes errors in the OpenAPI document, each with an example: those of a `@Public()` route, or of a method whose class has
 * `@ApiSession()`. For classes and methods; what a method says of a status replaces what its class says of it.
 */
export function ApiSessionErrors({
  codes = [],
  errors = [],
}: ApiSessionErrorOptions): MethodDecorator & ClassDecorator {
  const byStatus = new Map<number, ApiErrorBody[]>();
  for (const body of [...[...new Set(codes)].map(exampleOf), ...errors])
    byStatus.set(body.statusCode, [...(byStatus.get(body.statusCode) ?? []), body]);
  return applyDecorators(...[...byStatus].map(([status, bodies]) => ApiResponse(responseOf(status, bodies))));
}

export function responseOf(status: number, bodies: readonly ApiErrorBody[]) {
  const names = bodies.map(nameOf);
  return {
    status,
    description: `${STATUS_CODES[status]}: ${names.map((name) => `\`${name}\``).join(', ')}`,
    schema: schemaOf(status, bodies),
    examples: Object.fromEntries(bodies.map((value) => [nameOf(value), { summary: nameOf(value), value }])),
    ...(HEADERS[status] && { headers: HEADERS[status] }),
  };
}

/** The shape of `SessionErrorBody`; without a code where one of the errors has none. */
function schemaOf(status: number, bodies: readonly ApiErrorBody[]) {
  const codes = bodies.flatMap(({ code }) => (code === undefined ? [] : [code]));
  const hasLists = bodies.some(({ message }) => typeof message !== 'string');
  const text = { type: 'string' };
  return {
    type: 'object',
    required: ['statusCode', 'error', ...(codes.length === bodies.length ? ['code'] : []), 'message'],
    properties: {
      statusCode: { type: 'integer', enum: [status] },
      error: { type: 'string', example: STATUS_CODES[status] },
      ...(codes.length > 0 && { code: { type: 'string', enum: codes } }),
      message: hasLists ? { oneOf: [text, { type: 'array', items: text }] } : text,
    },
  };
}
