import { applyDecorators } from '@nestjs/common';
import { ApiOperation, ApiResponse } from '@nestjs/swagger';
import type { z } from 'zod';

interface AnswerOf<T> {
  /** What the route does, in a few words. */
  readonly summary: string;
  readonly schema: z.ZodType<T>;
  readonly example: NoInfer<T>;
  /** Default: 200. */
  readonly status?: number;
}

/** What a route answers when all is well. Its errors come from `@ApiSession()`, or `@ApiSessionErrors()` if it is public. */
export function Answer<T>({ summary, schema, example, status = 200 }: AnswerOf<T>): MethodDecorator {
  return applyDecorators(
    ApiOperation({ summary }),
    ApiResponse({ status, description: 'All is well.', standardSchema: schema, example }),
  );
}

/** For a route that answers without a body. */
export function NoContent(summary: string): MethodDecorator {
  return applyDecorators(ApiOperation({ summary }), ApiResponse({ status: 204, description: 'Done.' }));
}
