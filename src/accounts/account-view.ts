import type { Account } from 'nestjs-sessions';

/** An account that the browser is signed in to. Instants are epoch milliseconds. */
export interface AccountView {
  /** The id of its session. */
  id: string;
  email: string;
  createdAt: number;
  /** Whether it is the one in use. */
  current: boolean;
}

export function accountViewOf({ session: { id, email, createdAt }, current }: Account): AccountView {
  return { id, email, createdAt, current };
}
