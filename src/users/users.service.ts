import { Injectable } from '@nestjs/common';
import { verify } from '@node-rs/argon2';
import { DEMO_USERS, NOBODYS_HASH } from './demo-users.js';
import type { User } from './user.js';

@Injectable()
export class UsersService {
  private readonly users: readonly User[] = DEMO_USERS;

  /**
   * The user whose e-mail address and password these are, or null. An unknown address costs as much time as a wrong
   * password, so that the answer does not tell who has an account.
   */
  async authenticate(email: string, password: string): Promise<User | null> {
    const wanted = email.toLowerCase();
    const user = this.users.find((each) => each.email === wanted);
    const matches = await verify(user?.passwordHash ?? NOBODYS_HASH, password);
    return user && matches ? user : null;
  }
}
