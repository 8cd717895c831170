import { Inject, Injectable } from '@nestjs/common';
import { clientDigestOf } from '../model/fingerprint.js';
import type { HijackSignal } from '../model/events.js';
import type { NewSession, Session, SessionMetadata } from '../model/session.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';
import { SESSION_OPTIONS } from '../options/tokens.js';
import { clientFactsOf, differencesOf, metadataOf, type ClientFacts, type ClientRules } from './client-facts.js';
import type { HttpExchange } from './http-exchange.js';

/** What a session holds of the device it was started on. */
export type DeviceFields = Pick<NewSession, 'deviceName' | 'deviceType' | 'metadata'>;

/** Reads each request's client once, and compares it with those that sessions remember. */
@Injectable()
export class ClientRecognition {
  private readonly known = new WeakMap<object, ClientFacts>();
  private readonly rules: ClientRules;

  constructor(@Inject(SESSION_OPTIONS) { keys, security }: ResolvedSessionOptions) {
    this.rules = rulesOf({ keys, security });
  }

  factsOf(exchange: HttpExchange): ClientFacts {
    const known = this.known.get(exchange.key);
    if (known) return known;
    const facts = clientFactsOf(exchange);
    this.known.set(exchange.key, facts);
    return facts;
  }

  /** What is kept beside a token, to tell its client again when it is repeated. */
  digestOf(exchange: HttpExchange): Buffer {
    return clientDigestOf(this.factsOf(exchange).families);
  }

  /** The device fields of a new session: what was given, and for the rest what the request tells. */
  describe(exchange: HttpExchange, given: DeviceFields): DeviceFields {
    const facts = this.factsOf(exchange);
    const name = given.deviceName ?? facts.device.name;
    return {
      ...(name !== null && { deviceName: name }),
      deviceType: given.deviceType ?? facts.device.deviceType,
      metadata: { ...metadataOf(facts, this.rules), ...given.metadata },
    };
  }

  differences(exchange: HttpExchange, metadata: SessionMetadata | undefined): HijackSignal[] {
    return differencesOf(this.factsOf(exchange), metadata, this.rules);
  }

  /** What changes of a session whose holder has just proved who they are, with this client; null where it is the same. */
  takeOver(exchange: HttpExchange, session: Session): Pick<Session, 'metadata' | 'deviceName'> | null {
    const { metadata, deviceName } = session;
    if (this.differences(exchange, metadata).length === 0) return null;
    const now = metadataOf(this.factsOf(exchange), this.rules);
    // A name that was told by the client follows it; one that a person gave stays.
    const isTold = deviceName !== undefined && deviceName === metadata?.device;
    return { metadata: { ...metadata, ...now }, ...(isTold && now.device !== undefined && { deviceName: now.device }) };
  }
}

/** The part of the options that says how clients are remembered and compared. */
export function rulesOf({ keys, security }: Pick<ResolvedSessionOptions, 'keys' | 'security'>): ClientRules {
  const [first, ...others] = keys.fingerprint;
  if (!first) throw new Error('there is a key for every secret: checked when the options were resolved');
  return { fingerprintKeys: [first, ...others], ipPrivacy: security.ipPrivacy };
}
