import type { SessionService } from '../../sessions/session-service.js';
import type { TokenService } from '../../tokens/token-service.js';
import type { ClientRecognition } from '../authentication/client-recognition.js';
import type { RequestAuthenticator } from '../authentication/request-authenticator.js';
import type { DeviceBindingHooks } from '../authentication/device-binding-hooks.js';
import type { DpopProofs } from '../authentication/dpop-proofs.js';
import type { RequestReports } from '../authentication/request-reports.js';
import type { RequestTenants } from '../authentication/request-tenants.js';
import type { ActorCookie } from '../cookies/actor-cookie.js';
import type { RefreshCookie } from '../cookies/refresh-cookie.js';
import type { SessionCookie } from '../cookies/session-cookie.js';
import type { Accounts } from './accounts.js';
import type { Impersonation } from './impersonation.js';
import type { SignIn } from './sign-in.js';
import type { TokenRefresh } from './token-refresh.js';

/** The services behind every `RequestSession` of an application. */
export class RequestSessionServices {
  constructor(
    readonly sessions: SessionService,
    readonly authenticator: RequestAuthenticator,
    readonly cookie: SessionCookie,
    readonly refreshCookie: RefreshCookie,
    readonly tokens: TokenService,
    readonly refreshing: TokenRefresh,
    readonly signIn: SignIn,
    readonly impersonation: Impersonation,
    readonly actors: ActorCookie,
    readonly clients: ClientRecognition,
    readonly reports: RequestReports,
    readonly tenants: RequestTenants,
    readonly accounts: Accounts,
    /** Absent without the option `deviceBound`. */
    readonly binding?: DeviceBindingHooks,
    /** Absent without the option `jwt.dpop`. */
    readonly dpop?: DpopProofs,
  ) {}
}
