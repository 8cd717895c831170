import type { User } from './user.js';

/** In place of a database. The passwords are in the README: user-password-1, admin-password-1 and factor-password-1. */
export const DEMO_USERS: readonly User[] = [
  {
    id: 'u-1001',
    email: 'user@example.com',
    roles: ['user'],
    passwordHash: '$argon2id$v=19$m=19456,t=2,p=1$OmyVXoP9sjUTYZokdR/jHw$ggJcNIRjQFSqSTqFWNkV86zidHaqJoZ6a9+BiSKoGUY',
  },
  {
    id: 'u-1002',
    email: 'admin@example.com',
    roles: ['user', 'admin'],
    passwordHash: '$argon2id$v=19$m=19456,t=2,p=1$v5a5muLCugbOH9IQZu9Z0w$suOY8yCWr0AtHLo1GanHaMTp/ry12ck47yyyL9jEOUE',
  },
  {
    id: 'u-1003',
    email: 'factor@example.com',
    roles: ['user'],
    passwordHash: '$argon2id$v=19$m=19456,t=2,p=1$KuxKp8A0qmhxrvyJEGOE2g$dmBN/UlGMsO6s2yTd+V+zUNtqEou70a+wD/zutXlsgk',
    codeSecret: 'the demo secret of factor@example.com',
  },
];

/** The hash of an unknown password, with the same cost: verified for addresses without an account. */
export const NOBODYS_HASH =
  '$argon2id$v=19$m=19456,t=2,p=1$yoEvLtrIbGObRFq1RHnRdA$WXcptnMwRBWEmy077Bc8F5d2g9o/IwSg+zXP2q30t/I';
