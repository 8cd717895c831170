import { makeRoom, MOST_PENDING, type Admission } from '../model/limit.js';
import type { DeviceType, EndReason } from '../model/session.js';
import { recordOf, type StoredSession } from './stored-user.js';

/** A session that signs in, with what decides which others make way. */
export interface Entrant {
  /** Its id, existing or future. */
  readonly id: string;
  readonly deviceHash: Buffer | null;
  readonly deviceType: DeviceType;
  readonly client: Buffer | null;
  /** Whether the session is an impersonation. */
  readonly actor: boolean;
}

/** The sessions that end when one is admitted, and whether the user had none on its device before. */
export interface Admitted {
  readonly ends: readonly (readonly [sid: string, reason: EndReason])[];
  readonly isNew: boolean;
}

type Entry = readonly [sid: string, stored: StoredSession];

/** The sessions of the user that make way for the entrant; `reject` if the policy refuses it. */
export function admit(userKey: string, live: readonly Entry[], entrant: Entrant, rule: Admission): Admitted | 'reject' {
  const others = live.filter(([sid]) => userKey + sid !== entrant.id);
  const { deviceHash, deviceType } = entrant;
  const isReplaced = ([sid, stored]: Entry): boolean =>
    userKey + sid === rule.replaces || (deviceHash !== null && stored.deviceHash?.equals(deviceHash) === true);
  const replaced = others.filter(isReplaced);
  const staying = others.filter((entry) => !isReplaced(entry) && isCounted(entry));
  const evicted = entrant.actor ? [] : makeRoom(staying.map(candidateOf), deviceType, rule.limit);
  if (evicted === 'reject') return evicted;
  const here = replaced.some((entry) => !isPending(entry));
  return {
    ends: [...replaced.map(([sid]) => [sid, 'replaced'] as const), ...evicted.map((sid) => [sid, 'evicted'] as const)],
    isNew: !entrant.actor && !here && isNewDevice(staying, entrant),
  };
}

/** The sessions that make way for one that waits for a further factor: the oldest of too many such. */
export function admitPending(live: readonly Entry[]): Admitted {
  const waiting = live.filter(isPending).map(candidateOf);
  const evicted = makeRoom(waiting, 'unknown', { max: MOST_PENDING, onLimit: 'evict-oldest' });
  return { ends: evicted === 'reject' ? [] : evicted.map((sid) => [sid, 'evicted'] as const), isNew: false };
}

function candidateOf([sid, stored]: Entry) {
  const { createdAt, lastAccess } = stored.clock;
  return { sid, createdAt, lastAccess, deviceType: recordOf(stored)?.deviceType ?? ('unknown' as const) };
}

/** Impersonated sessions and those that wait for a further factor neither count nor make way. */
function isCounted([, stored]: Entry): boolean {
  const record = recordOf(stored);
  return record?.actor === undefined && record?.pending !== true;
}

function isPending([, stored]: Entry): boolean {
  const record = recordOf(stored);
  return record?.actor === undefined && record?.pending === true;
}

/** Whether none of the user's other sessions is on this device: compared by device, or otherwise by client. */
function isNewDevice(others: readonly Entry[], { deviceHash, client }: Entrant): boolean {
  // Sessions on the same device are not among the others, because they are replaced.
  if (deviceHash !== null) return others.length > 0;
  const clients = others
    .flatMap(([, { cookie, refresh }]) => [cookie?.client, refresh?.client])
    .filter((known) => known);
  return client !== null && clients.length > 0 && !clients.some((known) => known?.equals(client));
}
