import { CredentialCodec } from '../../../src/model/credential.js';
import type { ResolvedSessionOptions } from '../../../src/options/resolved-options.js';
import { resolveSessionOptions } from '../../../src/options/resolve-options.js';
import type { SessionModuleOptions } from '../../../src/options/session-module-options.js';
import { DeviceSessionService } from '../../../src/services/device-session-service.js';
import { SessionAuthenticator } from '../../../src/services/session-authenticator.js';
import { SessionService } from '../../../src/services/session-service.js';
import { SessionToucher } from '../../../src/services/session-toucher.js';
import { CountingStore } from '../../http/support/counting-store.js';

export interface Services {
  readonly store: CountingStore;
  readonly options: ResolvedSessionOptions;
  readonly sessions: SessionService;
  readonly devices: DeviceSessionService;
  readonly authenticator: SessionAuthenticator;
  readonly toucher: SessionToucher;
}

/** The services as the module wires them, without Nest. */
export function servicesOf(options: SessionModuleOptions = {}): Services {
  const store = (options.store as CountingStore | undefined) ?? new CountingStore();
  const resolved = resolveSessionOptions(options);
  const codec = new CredentialCodec(resolved.keys.credential);
  const toucher = new SessionToucher(store, resolved);
  const authenticator = new SessionAuthenticator(store, codec, resolved);
  const sessions = new SessionService(store, codec, authenticator, toucher, resolved);
  return {
    store,
    options: resolved,
    sessions,
    toucher,
    authenticator,
    devices: new DeviceSessionService(sessions, store, resolved),
  };
}
