const NEAR = ['near-cookie', 'near-bearer', 'near-jwt-auth-guard'];
const REDIS = ['cookie', 'bearer', 'jwt-auth-guard'];
/** µs of CPU that a guard may add to a request, on a machine that needs `UNGUARDED` for one without a guard. */
const MOST = { express: { near: 8, redis: 28 }, fastify: { near: 4, redis: 18 } };
/** µs: the machine on which the budgets were set. Figures of others are converted, as there is no µs without a machine. */
const UNGUARDED = { express: 100, fastify: 15 };
/** Of what a peer adds. */
const PART = { near: 0.1, redis: 1 / 3 };
const PEERS = ['session-connect-redis', 'better-auth'];
/** How much slower, with many sessions stored. */
const GROWTH = 1.1;

/** @typedef {{ text: string, reached: number, budget: number, kept: boolean }} Budget */

/**
 * @param {import('./report.mjs').Results} results
 * @param {number} tolerance 1 for the budgets as they are.
 * @returns {Budget[]} Those for which there are figures.
 */
export function budgetsOf({ costs, operations }, tolerance) {
  /** @type {Budget[]} */
  const budgets = [];
  const check = (/** @type {string} */ text, /** @type {number} */ reached, /** @type {number} */ budget) =>
    budgets.push({ text, reached, budget, kept: reached <= budget * tolerance });
  for (const platform of /** @type {const} */ (['express', 'fastify'])) {
    const costOf = (/** @type {string} */ key) => costs[platform]?.find(({ variant }) => variant === key);
    // Each is converted by the unguarded route that took turns with it, as the machine's speed changes during a run.
    const added = (/** @type {string} */ key) => {
      const cost = costOf(key);
      return cost && (cost.added * UNGUARDED[platform]) / cost.unguarded;
    };
    for (const [kind, keys] of /** @type {const} */ ([
      ['near', NEAR],
      ['redis', REDIS],
    ])) {
      for (const key of keys) {
        const ours = added(key);
        if (ours === undefined) continue;
        check(
          `${platform} ${key}: added, where an unguarded request takes ${UNGUARDED[platform]} µs`,
          ours,
          MOST[platform][kind],
        );
        if (platform !== 'express') continue;
        for (const peer of PEERS) {
          const theirs = added(peer);
          if (theirs !== undefined) check(`express ${key}: part of what ${peer} adds`, ours / theirs, PART[kind]);
        }
      }
    }
  }
  for (const { name, few, many, ratio, hasBudget = true } of operations?.growth ?? []) {
    if (!hasBudget) continue;
    check(`${name}: ${many} in place of ${few}, times slower`, ratio, GROWTH);
  }
  return budgets;
}
