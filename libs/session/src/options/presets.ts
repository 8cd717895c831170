import type {
  SecurityOptions,
  SessionLifetimeOptions,
  SessionModuleOptions,
  SessionPreset,
} from './session-module-options.js';

interface PresetDefaults {
  readonly session: SessionLifetimeOptions;
  readonly security: SecurityOptions;
}

/**
 * Defaults by assurance level. The overall and inactivity timeouts are those of NIST SP 800-63B-4, sections 2.1.3, 2.2.3
 * and 2.3.3; at AAL1 it asks for no inactivity timeout, and on freshness and on signals it names no numbers: those are ours.
 * Who asked to be remembered is not remembered for longer than the level allows.
 */
const PRESETS: Readonly<Record<SessionPreset, PresetDefaults>> = {
  aal1: {
    session: {
      absoluteTimeout: '30d',
      idleTimeout: '14d',
      rememberMe: { absoluteTimeout: '30d', idleTimeout: '14d' },
      freshness: '15m',
    },
    security: {},
  },
  aal2: {
    session: {
      absoluteTimeout: '24h',
      idleTimeout: '1h',
      rememberMe: { absoluteTimeout: '24h', idleTimeout: '1h' },
      freshness: '5m',
    },
    security: { useFingerprint: 'log' },
  },
  aal3: {
    session: {
      absoluteTimeout: '12h',
      idleTimeout: '15m',
      rememberMe: { absoluteTimeout: '12h', idleTimeout: '15m' },
      freshness: '5m',
    },
    security: { useFingerprint: 'reject' },
  },
};

/** The options with the preset's defaults behind them. What is no preset, or no object, is left for the parser to refuse. */
export function withPreset(options: SessionModuleOptions): SessionModuleOptions {
  const preset: unknown = isObject(options) ? options.preset : undefined;
  if (!isPreset(preset)) return options;
  const { session, security } = PRESETS[preset];
  const own = options.session;
  return {
    ...options,
    session: isObject(own)
      ? { ...over(session, own), rememberMe: over(session.rememberMe ?? {}, own.rememberMe) }
      : over(session, own),
    security: over(security, options.security),
  };
}

function isPreset(value: unknown): value is SessionPreset {
  return typeof value === 'string' && Object.hasOwn(PRESETS, value);
}

/** An option that is there and undefined counts as left out. */
function over<T extends object>(defaults: T, own: T | undefined): T {
  if (own === undefined) return defaults;
  if (!isObject(own)) return own;
  return { ...defaults, ...Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)) };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
