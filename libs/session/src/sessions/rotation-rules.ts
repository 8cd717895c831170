import type { SignalAction } from '../model/events.js';
import type { RotationRule } from '../model/token-family.js';
import type { ResolvedSessionOptions } from '../options/resolved-options.js';

/** The rotation rule of the cookie's token. */
export function cookieRule({ session, security, reuseDetection }: ResolvedSessionOptions): RotationRule {
  return {
    grace: session.rotationGrace,
    rotateAfter: session.rotationInterval,
    rotateFirst: false,
    reuseDetection,
    clientBound: isBinding(security.useFingerprint.cookie),
  };
}

/** How a refresh token rotates under these options, with a grace window of so many ms. */
export function refreshRule({ security, reuseDetection }: ResolvedSessionOptions, grace: number): RotationRule {
  return {
    grace,
    rotateAfter: grace,
    rotateFirst: true,
    reuseDetection,
    clientBound: isBinding(security.useFingerprint.bearer),
  };
}

/** Whether another client is refused: only then may its replay of a token end the session. */
function isBinding(action: SignalAction): boolean {
  return action === 'step-up' || action === 'reject' || action === 'end';
}
