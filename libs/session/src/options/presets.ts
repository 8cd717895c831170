import { parseDuration } from './duration.js';
import type {
  RememberMeOptions,
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
 * Defaults by assurance level. The overall and inactivity timeouts are those of NIST SP 800-63B-4, sections 2.1.3,
 * 2.2.3 and 2.3.3; it requires no inactivity timeout at AAL1, and gives no numbers for freshness and signals: those are
 * ours. `rememberMe` lasts no longer than the level allows.
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
    security: {},
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

/** The options with the preset's defaults. An invalid preset or value is left for the parser to refuse. */
export function withPreset(options: SessionModuleOptions): SessionModuleOptions {
  const preset: unknown = isObject(options) ? options.preset : undefined;
  if (!isPreset(preset)) return options;
  const { session, security } = PRESETS[preset];
  const own = options.session;
  return {
    ...options,
    session: isObject(own)
      ? { ...timeoutsOver(session, own), rememberMe: timeoutsOver(session.rememberMe ?? {}, own.rememberMe) }
      : over(session, own),
    security: over(security, options.security),
  };
}

function isPreset(value: unknown): value is SessionPreset {
  return typeof value === 'string' && Object.hasOwn(PRESETS, value);
}

/** An option that is `undefined` counts as omitted. */
function over<T extends object>(defaults: T, own: T | undefined): T {
  if (own === undefined) return defaults;
  if (!isObject(own)) return own;
  return { ...defaults, ...Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)) };
}

/** A shorter absolute timeout in the options lowers the preset's idle timeout, as it lowers any default. */
function timeoutsOver<T extends RememberMeOptions>(defaults: T, own: T | undefined): T {
  const merged = over(defaults, own);
  if (!isObject(own) || own.idleTimeout !== undefined) return merged;
  const [idle, absolute] = [parseDuration(merged.idleTimeout), parseDuration(merged.absoluteTimeout)];
  if (idle === null || absolute === null || idle <= absolute) return merged;
  return { ...merged, idleTimeout: absolute };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
