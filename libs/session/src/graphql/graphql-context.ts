/** What guards and decorators find the request in. */
export interface GraphqlContext {
  /** The request, or that which opened the socket. */
  readonly req?: unknown;
  /** The response; absent on a socket, where no cookie can be set. */
  readonly res?: unknown;
  /** What a client of graphql-ws sent when it opened its socket: an `authorization` among it counts. */
  readonly connectionParams?: unknown;
}

/**
 * The option `context` of `GraphQLModule`, for Apollo and Mercurius, on Express and Fastify, over HTTP and sockets: brings the request
 * and, where there is one, the response, so that resolvers can sign in and out.
 *
 * ```ts
 * GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true, context: graphqlContext });
 * ```
 *
 * Spread it where your resolvers need more: `context: (...given) => ({ ...graphqlContext(...given), loaders })`.
 */
export function graphqlContext(...given: unknown[]): GraphqlContext {
  const [first, second] = given;
  const { req, res, extra, connectionParams } = propertiesOf(first);
  if (isRequest(req)) return { req, res };
  const { request } = propertiesOf(extra);
  if (isRequest(request)) return { req: request, connectionParams };
  if (isRequest(first)) return { req: first, res: second };
  // Mercurius hands the socket over before the request that opened it.
  return isRequest(second) ? { req: second } : {};
}

function propertiesOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function isRequest(value: unknown): boolean {
  const { headers } = propertiesOf(value);
  return typeof headers === 'object' && headers !== null;
}
