import type { SessionMetadata } from '../model/session.js';

/** What a framework's request tells of its client; descriptive alone. Undefined where there is no request. */
export function clientOf(request: unknown): SessionMetadata | undefined {
  if (typeof request !== 'object' || request === null) return undefined;
  const { headers, ip } = request as { headers?: Record<string, unknown>; ip?: unknown };
  const userAgent = headers?.['user-agent'];
  return {
    ...(typeof userAgent === 'string' && userAgent !== '' && { userAgent: oneLine(userAgent) }),
    ...(typeof ip === 'string' && { ip: ip.replace(/^::ffff:(?=\d+\.)/i, '') }),
  };
}

/** Control characters would let a client write lines of its own into logs and lists. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim();
}
