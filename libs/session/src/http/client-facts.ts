import ipaddr from 'ipaddr.js';
import type { SessionMetadata } from '../model/session.js';
import type { HttpExchange } from './http-exchange.js';

/** Longest user agent that is kept. */
const MAX_USER_AGENT = 512;

/** What a request tells of its client. Descriptive: whoever sends the request chooses most of it. */
export function metadataOf(exchange: HttpExchange): SessionMetadata {
  const userAgent = exchange.header('user-agent');
  const ip = clientIpOf(exchange);
  return {
    ...(userAgent !== undefined && userAgent !== '' && { userAgent: oneLine(userAgent).slice(0, MAX_USER_AGENT) }),
    ...(ip !== undefined && { ip }),
  };
}

/** The client's address as the framework trusts it, never from a header; IPv4 in IPv6 clothing as IPv4. */
export function clientIpOf(exchange: HttpExchange): string | undefined {
  const { ip } = exchange.request;
  if (ip === undefined || !ipaddr.isValid(ip)) return undefined;
  return ipaddr.process(ip).toString();
}

/** Control characters would let a client write lines of its own into logs and lists. */
function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
}
