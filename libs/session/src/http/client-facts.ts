import type { KeyObject } from 'node:crypto';
import type { HijackSignal } from '../model/events.js';
import { fingerprintOf, matchesFingerprint } from '../model/fingerprint.js';
import { canonicalIp, keptIp, networkOf, type IpPrivacy } from '../model/ip.js';
import type { SessionMetadata } from '../model/session.js';
import {
  cleanUserAgent,
  describeDevice,
  familiesOf,
  type DeviceDescription,
  type UserAgentFamilies,
} from '../model/user-agent.js';
import type { HttpExchange } from './http-exchange.js';

/** What a request tells of its client. Descriptive: whoever sends the request chooses most of it. */
export interface ClientFacts {
  readonly userAgent: string | null;
  /** The address as the framework trusts it, never from a header; IPv4 in IPv6 clothing as IPv4. */
  readonly ip: string | null;
  /** Of the user agent alone: hints come and go. */
  readonly families: UserAgentFamilies;
  readonly device: DeviceDescription;
}

/** How clients are remembered and compared. */
export interface ClientRules {
  /** The first signs, all are recognised. */
  readonly fingerprintKeys: readonly [KeyObject, ...KeyObject[]];
  readonly ipPrivacy: IpPrivacy;
}

/** Never throws, whatever the request says. */
export function clientFactsOf(exchange: HttpExchange): ClientFacts {
  const userAgent = exchange.header('user-agent');
  const families = familiesOf(userAgent ?? '');
  return {
    userAgent: userAgent === undefined || userAgent === '' ? null : cleanUserAgent(userAgent),
    ip: canonicalIp(exchange.request.ip),
    families,
    device: describeDevice(families, {
      brands: exchange.header('sec-ch-ua'),
      mobile: exchange.header('sec-ch-ua-mobile'),
      platform: exchange.header('sec-ch-ua-platform'),
    }),
  };
}

/** What a session remembers of its client. */
export function metadataOf(facts: ClientFacts, { fingerprintKeys, ipPrivacy }: ClientRules): SessionMetadata {
  const { userAgent, device, families } = facts;
  const ip = keptIp(facts.ip, ipPrivacy);
  return {
    ...(userAgent !== null && { userAgent }),
    ...(ip !== undefined && { ip }),
    ...(device.name !== null && { device: device.name }),
    fingerprint: fingerprintOf(families, fingerprintKeys[0]),
  };
}

/**
 * In what a client differs from the one a session remembers. What cannot be compared is no difference: a session that
 * remembers none, or an address that is not known.
 */
export function differencesOf(
  facts: ClientFacts,
  metadata: SessionMetadata | undefined,
  { fingerprintKeys, ipPrivacy }: ClientRules,
): HijackSignal[] {
  const { fingerprint, ip } = metadata ?? {};
  const networkBy = (address: string | null | undefined): string | null =>
    ipPrivacy === 'full' ? networkOf(address) : (keptIp(address, 'truncated') ?? null);
  const [here, there] = [networkBy(facts.ip), networkBy(ip)];
  return [
    ...(matchesFingerprint(fingerprint, facts.families, fingerprintKeys) === false ? (['fingerprint'] as const) : []),
    ...(here !== null && there !== null && here !== there ? (['ip'] as const) : []),
  ];
}
