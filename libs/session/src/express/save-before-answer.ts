import type { IncomingMessage, ServerResponse } from 'node:http';
import { SessionExpressStore } from './session-express-store.js';

interface SessionRequest extends IncomingMessage {
  session?: { touch(): unknown; save(callback: (error?: Error | null) => void): unknown } | null | undefined;
  sessionID?: string | undefined;
  sessionStore?: unknown;
}

type End = (...args: unknown[]) => ServerResponse;

/**
 * Saves a changed session before the response begins, so that the client hears of a session that cannot be saved.
 * express-session alone begins to answer, and saves then: the client reads 200 and is not signed in. Mount it right after
 * express-session; it acts where the store is a `SessionExpressStore`, and leaves streamed responses as they are.
 */
export function saveBeforeAnswer() {
  return (request: SessionRequest, response: ServerResponse, next: (error?: unknown) => void): void => {
    const end = response.end.bind(response) as End;
    const endSaved: End = (...args) => {
      response.end = end as ServerResponse['end'];
      if (response.headersSent || !request.session) return end(...args);
      saveChanges(request).then(
        () => end(...args),
        (error: unknown) => {
          forget(request, response);
          next(error);
        },
      );
      return response;
    };
    response.end = endSaved as ServerResponse['end'];
    next();
  };
}

async function saveChanges({ session, sessionStore }: SessionRequest): Promise<void> {
  if (!session || !(sessionStore instanceof SessionExpressStore)) return;
  if (!(await sessionStore.hasUnsavedChanges(session))) return;
  session.touch();
  await new Promise<void>((resolve, reject) => {
    session.save((error) => (error ? reject(error) : resolve()));
  });
}

/** Leaves nothing of an answer that is not given, nor of a session that express-session would otherwise save again. */
function forget(request: SessionRequest, response: ServerResponse): void {
  delete request.session;
  delete request.sessionID;
  for (const name of response.getHeaderNames()) {
    if (/^(content-.*|etag|last-modified|location)$/.test(name)) response.removeHeader(name);
  }
}
