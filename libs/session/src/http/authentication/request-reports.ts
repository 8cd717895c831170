import type { FailedSignIn, RequestOrigin, SecurityReports } from '../../events/security-reports.js';
import type { SessionError } from '../../model/errors.js';
import { keptIp, type IpPrivacy } from '../../model/ip.js';
import type { Session } from '../../model/session.js';
import type { RequestContext } from './request-context.js';

/** Adds route and address of the request to security events. */
export class RequestReports {
  constructor(
    private readonly reports: SecurityReports,
    private readonly ipPrivacy: IpPrivacy,
  ) {}

  /** See `SecurityReports.refused`. */
  refused(error: SessionError, context: RequestContext, session?: Session): void {
    this.reports.refused(error, this.originOf(context), session);
  }

  /** See `SecurityReports.signInFailed`. */
  signInFailed(failure: FailedSignIn, context: RequestContext, session?: Session): void {
    // A browser may hold a session of one user while another user signs in.
    const own = session && (failure.userId === undefined || failure.userId === session.userId) ? session : null;
    const known = own && { userId: own.userId, verified: own.amr ?? [] };
    const { ip } = this.originOf(context);
    this.reports.signInFailed({ ...known, ...failure }, { ip, ...(own && { sessionId: own.id }) });
  }

  private originOf({ client, route }: RequestContext): RequestOrigin {
    return { ip: keptIp(client.ip, this.ipPrivacy), route };
  }
}
