import { keptIp, type IpPrivacy } from '../../model/ip.js';
import type { SessionMetadata } from '../../model/session.js';
import { cleanUserAgent, describeDevice, traitsOf } from '../../model/user-agent.js';

/** Describes the client of a framework's request, for lists of sessions. Undefined if there is no request. */
export function clientMetadata(request: unknown, ipPrivacy: IpPrivacy): SessionMetadata | undefined {
  if (typeof request !== 'object' || request === null) return undefined;
  const { headers, ip } = request as { headers?: Record<string, unknown>; ip?: unknown };
  const header = (name: string): string | undefined => {
    const value = headers?.[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const userAgent = header('user-agent');
  const address = keptIp(ip, ipPrivacy);
  const { name } = describeDevice(traitsOf(userAgent ?? ''), {
    brands: header('sec-ch-ua'),
    mobile: header('sec-ch-ua-mobile'),
    platform: header('sec-ch-ua-platform'),
  });
  return {
    ...(userAgent !== undefined && { userAgent: cleanUserAgent(userAgent) }),
    ...(address !== undefined && { ip: address }),
    ...(name !== null && { device: name }),
  };
}
