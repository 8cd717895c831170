import { useSyncExternalStore } from 'react';
import type { SessionClient, SessionState } from '../session-client.js';

/**
 * The state of the session in a React component, which renders again when the user signs in and when the session ends, in
 * this tab or anywhere else. Create the client once, outside of components.
 */
export function useSession(client: SessionClient): SessionState {
  const read = (): SessionState => client.state;
  return useSyncExternalStore(client.subscribe, read, read);
}
