import type { KeyObject } from 'node:crypto';
import type { HijackSignal } from '../../model/events.js';
import { fingerprintOf, matchesFingerprint } from '../../model/fingerprint.js';
import { canonicalIp, keptIp, networkOf, type IpPrivacy } from '../../model/ip.js';
import type { NewSession, Session, SessionMetadata } from '../../model/session.js';
import {
  cleanUserAgent,
  describeDevice,
  traitsOf,
  type ClientTraits,
  type DeviceDescription,
} from '../../model/user-agent.js';
import type { ResolvedSessionOptions } from '../../options/resolved-options.js';
import type { HttpExchange } from '../exchange/http-exchange.js';

/** What a request reveals about its client. Descriptive only: the sender controls most of it. */
export interface ClientFacts {
  readonly userAgent: string | null;
  /**
   * The address according to the framework's proxy settings, never read from a header here; an IPv4-mapped IPv6 address
   * as IPv4.
   */
  readonly ip: string | null;
  /** From the user agent alone, because Client Hints are not sent with every request. */
  readonly traits: ClientTraits;
  readonly device: DeviceDescription;
}

/** What a session stores about the device it was started on. */
export type DeviceFields = Pick<NewSession, 'deviceName' | 'deviceType' | 'metadata'>;

/** How clients are stored and compared. */
export interface ClientRules {
  /** The first key signs; all of them verify. */
  readonly fingerprintKeys: readonly [KeyObject, ...KeyObject[]];
  readonly ipPrivacy: IpPrivacy;
}

/** Compares the client of a request with the one stored in a session. */
export class ClientRecognition {
  private readonly rules: ClientRules;

  constructor({ keys, security }: ResolvedSessionOptions) {
    this.rules = rulesOf({ keys, security });
  }

  /** The device fields of a new session: the given ones, completed from the request. */
  describe(client: ClientFacts, given: DeviceFields): DeviceFields {
    const name = given.deviceName ?? client.device.name;
    return {
      ...(name !== null && { deviceName: name }),
      deviceType: given.deviceType ?? client.device.deviceType,
      metadata: { ...metadataOf(client, this.rules), ...given.metadata },
    };
  }

  /** The differences from the client stored in a session, in what is compared. Default: in everything. */
  differences(
    client: ClientFacts,
    metadata: SessionMetadata | undefined,
    compared?: Compared,
  ): readonly HijackSignal[] {
    return differencesOf(client, metadata, this.rules, compared);
  }

  /**
   * The change to a session whose user has just proved their identity with this client; null if the client is the same.
   */
  takeOver(client: ClientFacts, session: Session): Pick<Session, 'metadata' | 'deviceName'> | null {
    const { metadata, deviceName } = session;
    if (this.differences(client, metadata).length === 0) return null;
    const now = metadataOf(client, this.rules);
    // A name derived from the client follows it; a name that a person chose stays.
    const isDerived = deviceName !== undefined && deviceName === metadata?.device;
    return {
      metadata: { ...metadata, ...now },
      ...(isDerived && now.device !== undefined && { deviceName: now.device }),
    };
  }
}

/** What a request says about its client. Each fact is computed when it is read: most requests need few. Never throws. */
export function clientFactsOf(exchange: HttpExchange): ClientFacts {
  return new RequestClientFacts(exchange);
}

class RequestClientFacts implements ClientFacts {
  private address: string | null | undefined;

  constructor(private readonly exchange: HttpExchange) {}

  get userAgent(): string | null {
    const userAgent = this.exchange.header('user-agent');
    return userAgent === undefined || userAgent === '' ? null : cleanUserAgent(userAgent);
  }

  get ip(): string | null {
    // Read once: after the client has gone, a framework may no longer know it.
    if (this.address === undefined) this.address = canonicalIp(this.exchange.request.ip);
    return this.address;
  }

  get traits(): ClientTraits {
    return traitsOf(this.exchange.header('user-agent') ?? '');
  }

  get device(): DeviceDescription {
    const { exchange } = this;
    return describeDevice(this.traits, {
      brands: exchange.header('sec-ch-ua'),
      mobile: exchange.header('sec-ch-ua-mobile'),
      platform: exchange.header('sec-ch-ua-platform'),
    });
  }
}

/** What a session stores about its client. */
export function metadataOf(client: ClientFacts, { fingerprintKeys, ipPrivacy }: ClientRules): SessionMetadata {
  const { userAgent, device, traits } = client;
  const ip = keptIp(client.ip, ipPrivacy);
  return {
    ...(userAgent !== null && { userAgent }),
    ...(ip !== undefined && { ip }),
    ...(device.name !== null && { device: device.name }),
    fingerprint: fingerprintOf(traits, fingerprintKeys[0]),
  };
}

/**
 * The differences between a client and the one stored in a session. What cannot be compared is no difference: a session
 * without stored values, or an unknown address.
 */
export function differencesOf(
  client: ClientFacts,
  metadata: SessionMetadata | undefined,
  rules: ClientRules,
  compared: Compared = EVERYTHING,
): readonly HijackSignal[] {
  if (!metadata) return NONE;
  // At every request: without a list or a table of functions.
  const fingerprint = compared.fingerprint && hasOtherFingerprint(client, metadata, rules);
  const ip = compared.ip && hasOtherNetwork(client, metadata, rules);
  if (fingerprint) return ip ? ['fingerprint', 'ip'] : ['fingerprint'];
  return ip ? ['ip'] : NONE;
}

/** Which signals are looked at. */
export type Compared = Readonly<Record<HijackSignal, boolean>>;

const NONE: readonly HijackSignal[] = [];
const EVERYTHING: Compared = { fingerprint: true, ip: true };

function hasOtherFingerprint(
  client: ClientFacts,
  { fingerprint }: SessionMetadata,
  { fingerprintKeys }: ClientRules,
): boolean {
  return fingerprint !== undefined && matchesFingerprint(fingerprint, client.traits, fingerprintKeys) === false;
}

function hasOtherNetwork(client: ClientFacts, { ip }: SessionMetadata, { ipPrivacy }: ClientRules): boolean {
  const there = networkBy(ip, ipPrivacy);
  if (there === null) return false;
  const here = networkBy(client.ip, ipPrivacy);
  return here !== null && here !== there;
}

function networkBy(address: string | null | undefined, ipPrivacy: IpPrivacy): string | null {
  return ipPrivacy === 'full' ? networkOf(address) : (keptIp(address, 'truncated') ?? null);
}

/** The options for storing and comparing clients. */
export function rulesOf({ keys, security }: Pick<ResolvedSessionOptions, 'keys' | 'security'>): ClientRules {
  const [first, ...others] = keys.fingerprint;
  if (!first) throw new Error('there is a key for every secret: checked when the options were resolved');
  return { fingerprintKeys: [first, ...others], ipPrivacy: security.ipPrivacy };
}
