export { graphqlContext, type GraphqlContext } from './graphql-context.js';
export { GraphqlSubscriptionInterceptor } from './graphql-subscription.interceptor.js';
