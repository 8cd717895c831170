import { jest } from '@jest/globals';
import { createElement } from 'react';
// @ts-expect-error -- has no types
import { act, create } from 'react-test-renderer';
import { SessionClient } from '../../src/client/index.js';
import { useSession } from '../../src/client/react/index.js';

interface Rendered {
  toJSON(): unknown;
  unmount(): void;
}

const { run, render } = { run: act as (work: () => void) => void, render: create as (element: unknown) => Rendered };

describe('useSession', () => {
  it('renders what is known of the session, and each change', () => {
    // The renderer calls itself deprecated; every other complaint of React is a fault.
    jest.spyOn(console, 'error').mockImplementation((message: unknown) => {
      if (!String(message).includes('deprecated')) throw new Error(String(message));
    });
    Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });
    const client = new SessionClient({ baseUrl: 'https://api.example.com', name: 'react' });
    const Status = (): string => {
      const session = useSession(client);
      return session.status === 'signed-out' ? `over: ${session.end?.code}` : session.status;
    };
    let page: Rendered | undefined;
    run(() => (page = render(createElement(Status))));
    expect(page?.toJSON()).toBe('unknown');
    run(() => client.signedIn());
    expect(page?.toJSON()).toBe('signed-in');
    run(() => client.signedOut());
    expect(page?.toJSON()).toBe('over: session_ended');
    run(() => page?.unmount());
    client.close();
    jest.restoreAllMocks();
  });
});
