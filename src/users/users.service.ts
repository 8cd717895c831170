import { HttpException, HttpStatus, Injectable } from '@nestjs/common';
import { verify } from '@node-rs/argon2';
import pLimit from 'p-limit';
import { stepOfCode } from './one-time-code.js';
import { DEMO_USERS, NOBODYS_HASH } from './demo-users.js';
import type { User } from './user.js';

/**
 * Number of passwords verified in parallel. Each takes a thread and 19 MiB; the other threads stay free for the
 * application.
 */
const AT_ONCE = 2;
/**
 * Maximum number of waiting verifications, about two seconds of work. Beyond that, sign-ins answer 503 while other
 * routes keep working.
 */
const WAITING = 50;

@Injectable()
export class UsersService {
  private readonly users: readonly User[] = DEMO_USERS;
  /** The step of the last accepted code of each user: no code counts twice. A database would hold it. */
  private readonly usedSteps = new Map<string, number>();
  private readonly queue = pLimit(AT_ONCE);

  /**
   * The user with this e-mail address and password, or null. An unknown address takes as long as a wrong password, so
   * that the answer does not reveal who has an account.
   *
   * @throws {HttpException} 503 if too many passwords wait to be verified.
   */
  async authenticate(email: string, password: string): Promise<User | null> {
    const user = this.find(email);
    if (this.queue.pendingCount >= WAITING) throw tooBusy();
    const matches = await this.queue(() => verify(user?.passwordHash ?? NOBODYS_HASH, password));
    return user && matches ? user : null;
  }

  /** Whether it is the user's code, and used up by that. */
  useCode({ id, codeSecret }: User, code: string, at: number): boolean {
    if (codeSecret === undefined) return false;
    const step = stepOfCode(codeSecret, code, at, this.usedSteps.get(id) ?? 0);
    if (step !== null) this.usedSteps.set(id, step);
    return step !== null;
  }

  /** Users whose e-mail address holds the text, and at most so many. */
  search(text: string, limit: number): User[] {
    const wanted = text.toLowerCase();
    return this.users.filter(({ email }) => email.includes(wanted)).slice(0, limit);
  }

  findById(id: string): User | undefined {
    return this.users.find((each) => each.id === id);
  }

  /** The account of an e-mail address, for the log, which must not contain the text that was entered. */
  find(email: string): User | undefined {
    const wanted = email.toLowerCase();
    return this.users.find((each) => each.email === wanted);
  }
}

function tooBusy(): HttpException {
  const statusCode = HttpStatus.SERVICE_UNAVAILABLE;
  const message = 'Too many people are signing in at the moment. Try again in a few seconds.';
  return new HttpException({ statusCode, error: 'Service Unavailable', code: 'sign_in_busy', message }, statusCode);
}
