import type { IncomingMessage, ServerResponse } from 'node:http';
import { delayEnd } from './delayed-end.js';
import { SessionExpressStore } from './session-express-store.js';

interface SessionRequest extends IncomingMessage {
  session?: { touch(): unknown; save(callback: (error?: Error | null) => void): unknown } | null | undefined;
  sessionID?: string | undefined;
  sessionStore?: unknown;
}

/**
 * Saves a changed session before the response begins, so that the client receives an error if saving fails. On its own,
 * express-session saves only after it has begun to answer: the client reads 200 and is not signed in. Mount it right
 * after express-session. It applies if the store is a `SessionExpressStore`, and does not change streamed responses.
 *
 * From the first `response.end` on, the response counts as sent, as it does without this middleware.
 */
export function saveBeforeAnswer() {
  return (request: SessionRequest, response: ServerResponse, next: (error?: unknown) => void): void => {
    const { statusCode } = response;
    delayEnd(request, response, {
      isNeeded: () => Boolean(request.session) && request.sessionStore instanceof SessionExpressStore,
      work: async () => saveChanges(request),
      onError: (error) => {
        discardAnswer(request, response, statusCode);
        next(error);
      },
    });
    next();
  };
}

async function saveChanges({ session, sessionID, sessionStore }: SessionRequest): Promise<void> {
  // express-session does not save a session without an id, and could not set a cookie for it.
  if (!session || typeof sessionID !== 'string' || !(sessionStore instanceof SessionExpressStore)) return;
  if (!(await sessionStore.hasUnsavedChanges(session))) return;
  session.touch();
  await new Promise<void>((resolve, reject) => {
    session.save((error) => (error ? reject(error) : resolve()));
  });
}

/** Removes the headers of the discarded answer, and the session, which express-session would save again. */
function discardAnswer(request: SessionRequest, response: ServerResponse, statusCode: number): void {
  delete request.session;
  delete request.sessionID;
  response.statusCode = statusCode;
  if (response.statusMessage) response.statusMessage = '';
  for (const name of response.getHeaderNames()) {
    if (/^(content-.*|etag|last-modified|location)$/.test(name)) response.removeHeader(name);
  }
}
