import { keptIp, type IpPrivacy } from '../model/ip.js';
import type { SessionMetadata } from '../model/session.js';
import { cleanUserAgent, describeDevice, familiesOf } from '../model/user-agent.js';

/** What a framework's request tells of its client; descriptive alone. Undefined where there is no request. */
export function clientOf(request: unknown, ipPrivacy: IpPrivacy): SessionMetadata | undefined {
  if (typeof request !== 'object' || request === null) return undefined;
  const { headers, ip } = request as { headers?: Record<string, unknown>; ip?: unknown };
  const header = (name: string): string | undefined => {
    const value = headers?.[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const userAgent = header('user-agent');
  const address = keptIp(ip, ipPrivacy);
  const { name } = describeDevice(familiesOf(userAgent ?? ''), {
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
