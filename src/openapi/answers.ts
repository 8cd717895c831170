import type { SessionUser } from 'nestjs-sessions';
import { SESSION_EVENT_TYPES } from 'nestjs-sessions/store';
import { z } from 'zod';
import type { AccountView } from '../accounts/account-view.js';
import type { Preferences } from '../account/preferences.js';
import { THEMES } from '../account/preferences.js';
import type { LoginReply } from '../auth/login-reply.js';
import type { HistoryView } from '../sessions/history-view.js';
import type { SessionView } from '../sessions/session-view.js';

// What the routes answer with, as schemas and examples. The compiler compares them with the types of the answers.

const instant = z.int().describe('Epoch milliseconds.');

const sessionView: z.ZodType<SessionView> = z
  .object({
    id: z.string(),
    deviceId: z.string().nullable(),
    deviceName: z.string().nullable(),
    deviceType: z.enum(['mobile', 'tablet', 'desktop', 'unknown']),
    client: z.string().nullable(),
    ip: z.string().nullable(),
    lastLocation: z
      .object({ ip: z.string(), country: z.string().exactOptional(), city: z.string().exactOptional() })
      .nullable(),
    createdAt: instant,
    lastAccess: instant,
    expiresAt: instant,
    rememberMe: z.boolean(),
    deviceBound: z.boolean(),
    pending: z.boolean(),
    actor: z.string().nullable(),
    current: z.boolean(),
  })
  .meta({ id: 'SessionView' });

const laptop: SessionView = {
  id: 'q0Zc1lqJ0cVYw9dBnq3LZ4mJ2pXt8R5v',
  deviceId: 'laptop-1',
  deviceName: 'My laptop',
  deviceType: 'desktop',
  client: 'Chrome on Windows',
  ip: '203.0.113.0',
  lastLocation: null,
  createdAt: 1_764_257_400_000,
  lastAccess: 1_764_257_460_000,
  expiresAt: 1_764_259_260_000,
  rememberMe: false,
  deviceBound: false,
  pending: false,
  actor: null,
  current: true,
};

const phone: SessionView = {
  ...laptop,
  id: 'q0Zc1lqJ0cVYw9dBh7TgW2sK6yNe1aUo',
  deviceId: 'phone-1',
  deviceName: 'My phone',
  deviceType: 'mobile',
  client: 'Chrome on Android',
  current: false,
};

const accountSchema: z.ZodType<AccountView> = z
  .object({ id: z.string(), email: z.string(), createdAt: instant, current: z.boolean() })
  .meta({ id: 'AccountView' });

export const ACCOUNTS = {
  schema: z.array(accountSchema),
  example: [
    { id: laptop.id, email: 'user@example.com', createdAt: laptop.createdAt, current: true },
    {
      id: 'Wm4tR8cVb2LZ4mJ2pXt8R5vq0Zc1lqJ0',
      email: 'admin@example.com',
      createdAt: laptop.lastAccess,
      current: false,
    },
  ],
};

const loginSchema: z.ZodType<LoginReply> = z
  .object({
    accessToken: z.string().nullable(),
    refreshToken: z.string().nullable(),
    tokenType: z.enum(['Bearer', 'DPoP']),
    expiresIn: z.int().describe('Lifetime of the access token in seconds.'),
    session: sessionView,
  })
  .meta({ id: 'LoginReply' });

export const LOGIN_REPLY = {
  schema: loginSchema,
  example: {
    accessToken: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1LTEwMDEifQ.c2lnbmF0dXJl',
    refreshToken: 'q0Zc1lqJ0cVYw9dBnq3LZ4mJ2pXt8R5v.c2VjcmV0',
    tokenType: 'Bearer',
    expiresIn: 900,
    session: laptop,
  },
} satisfies { schema: unknown; example: LoginReply };

export const SESSIONS = { schema: z.array(sessionView), example: [laptop, phone] };

export const ONE_SESSION = { schema: z.object({ session: sessionView }), example: { session: laptop } };

const historySchema: z.ZodType<HistoryView[]> = z.array(
  z.object({
    type: z.enum(SESSION_EVENT_TYPES),
    at: instant,
    sessionId: z.string(),
    reason: z
      .enum(['logout', 'idle', 'absolute', 'evicted', 'replaced', 'revoked', 'reuse', 'hijack', 'admin'])
      .nullable(),
    deviceName: z.string().nullable(),
    ip: z.string().nullable(),
    current: z.boolean(),
  }),
);

export const HISTORY = {
  schema: historySchema,
  example: [
    {
      type: 'ended',
      at: 1_764_257_520_000,
      sessionId: phone.id,
      reason: 'revoked',
      deviceName: 'My phone',
      ip: '203.0.113.0',
      current: false,
    },
    {
      type: 'created',
      at: 1_764_257_400_000,
      sessionId: laptop.id,
      reason: null,
      deviceName: 'My laptop',
      ip: '203.0.113.0',
      current: true,
    },
  ],
} satisfies { schema: unknown; example: HistoryView[] };

const user = z.object({ id: z.string(), email: z.string(), roles: z.array(z.string()) });
const userSchema: z.ZodType<SessionUser> = user;
const someone: SessionUser = { id: 'u-1001', email: 'user@example.com', roles: ['user'] };

export const USER = { schema: userSchema, example: someone };
export const USERS = { schema: z.array(user), example: [someone] };
export const ENDED = { schema: z.object({ ended: z.int() }), example: { ended: 2 } };

const preferencesSchema: z.ZodType<Preferences> = z.object({
  theme: z.enum(THEMES).optional(),
  language: z.string().optional(),
});

export const PREFERENCES = {
  schema: preferencesSchema,
  example: { theme: 'dark', language: 'de-AT' },
} satisfies { schema: unknown; example: Preferences };

export const KEYS = {
  schema: z.object({ keys: z.array(z.looseObject({ kid: z.string(), alg: z.string(), use: z.literal('sig') })) }),
  example: { keys: [] },
};

const indicators = z.record(z.string(), z.looseObject({ status: z.enum(['up', 'down']) }));
const health = z.object({
  status: z.enum(['ok', 'error', 'shutting_down']),
  info: indicators,
  error: indicators,
  details: indicators,
});

export const HEALTHY = {
  schema: health,
  example: {
    status: 'ok' as const,
    info: { redis: { status: 'up' as const } },
    error: {},
    details: { redis: { status: 'up' as const } },
  },
};

export const UNHEALTHY = {
  schema: health,
  example: {
    status: 'error' as const,
    info: {},
    error: { redis: { status: 'down' as const } },
    details: { redis: { status: 'down' as const } },
  },
};
