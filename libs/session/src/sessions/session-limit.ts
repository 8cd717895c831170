import type { SessionLimit } from '../model/limit.js';
import type { NewSession } from '../model/session.js';
import type { ResolvedLifetimeOptions } from '../options/resolved-options.js';

/** The limit of a sign-in: of the user, and of the device type where the options set one. */
export async function limitFor(
  options: ResolvedLifetimeOptions,
  input: NewSession,
  maxSessions = options.maxSessionsPerUser,
): Promise<SessionLimit> {
  const max = typeof maxSessions === 'function' ? await maxSessions(input) : maxSessions;
  const maxOfType = options.maxSessionsPerDeviceType?.[input.deviceType ?? 'unknown'];
  return { max, onLimit: options.onLimit, ...(maxOfType !== undefined && { maxOfType }) };
}
