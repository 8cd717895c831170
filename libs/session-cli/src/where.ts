import { InvalidArgumentError } from 'commander';
import type { SessionFilter } from 'nestjs-sessions/admin';
import { durationOf } from './duration.js';
import { CommandError, EXIT } from './exit-codes.js';

/** A condition as given, and the filter it adds at an instant. */
export type Condition = (now: number) => SessionFilter;

export const CONDITIONS =
  'user=ID, role=NAME, device=mobile|tablet|desktop|unknown, bound=yes|no, address=IP or range, age>30d, age<1h, idle>7d (s, m, h, d)';

const DEVICES = ['mobile', 'tablet', 'desktop', 'unknown'] as const;

/** Parses one `--where`; commander calls it for each. */
export function collectCondition(text: string, before: readonly Condition[] = []): readonly Condition[] {
  return [...before, conditionOf(text)];
}

/** All conditions together. */
export function filterOf(conditions: readonly Condition[], now: number): SessionFilter {
  const filter: Record<string, unknown> = {};
  for (const condition of conditions) {
    for (const [name, value] of Object.entries(condition(now))) {
      if (name in filter) throw new CommandError(`--where: ${name} is given twice.`, EXIT.usage);
      filter[name] = value;
    }
  }
  return filter;
}

function conditionOf(text: string): Condition {
  const [, name, operator, value = ''] = /^(user|role|device|bound|address|age|idle)([=<>])(.+)$/s.exec(text) ?? [];
  const refusal = new InvalidArgumentError(`Conditions are ${CONDITIONS}.`);
  if (name === 'age' || name === 'idle') {
    const ms = durationOf(value);
    if (ms === null || operator === '=' || (name === 'idle' && operator === '<')) throw refusal;
    if (name === 'idle') return (now) => ({ unusedSince: now - ms });
    return (now) => (operator === '>' ? { createdBefore: now - ms } : { createdAfter: now - ms });
  }
  if (operator !== '=') throw refusal;
  switch (name) {
    case 'user':
      return () => ({ userId: value });
    case 'role':
      return () => ({ role: value });
    case 'address':
      return () => ({ address: value });
    case 'bound':
      if (value !== 'yes' && value !== 'no') throw refusal;
      return () => ({ deviceBound: value === 'yes' });
    case 'device': {
      const deviceType = DEVICES.find((device) => device === value);
      if (!deviceType) throw refusal;
      return () => ({ deviceType });
    }
    default:
      throw refusal;
  }
}
