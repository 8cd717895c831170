// How evenly sessions spread over the shards of a Cluster, by the library's own functions. No server is needed.
//   node bench/shards.mjs --sessions 10000000 --shards 100
import { parseArgs } from 'node:util';
import { userKeyOf } from '../libs/session/dist/esm/model/ids.js';
import { bucketOf, slotOf } from '../libs/session/dist/esm/redis/keys.js';

const SLOTS = 16_384;
/** The largest shard's excess over the mean. */
const BUDGET = 0.1;
/** How many of 100 users have so many sessions. */
const SESSIONS_OF_A_USER = [55, 25, 12, 5, 3];

const { values } = parseArgs({
  options: { sessions: { type: 'string', default: '10000000' }, shards: { type: 'string', default: '100' } },
});
const [total, shards] = [Number(values.sessions), Number(values.shards)];

const shardOfSlot = rangesOf(shards);
const counts = new Float64Array(shards);
let users = 0;
for (let sessions = 0; sessions < total; users += 1) {
  const own = Math.min(total - sessions, sessionsOf(users % 100));
  const shard = shardOfSlot[slotOf(bucketOf(userKeyOf(`user-${users}`, '')))] ?? 0;
  counts[shard] = (counts[shard] ?? 0) + own;
  sessions += own;
}

const mean = total / shards;
const sorted = [...counts].sort((a, b) => a - b);
const percent = (/** @type {number} */ count) => `${(100 * (count / mean - 1)).toFixed(1)} %`;
const [smallest = 0, largest = 0] = [sorted[0], sorted.at(-1)];
console.log(`${total.toLocaleString('en')} sessions of ${users.toLocaleString('en')} users on ${shards} shards`);
console.log(
  `mean ${Math.round(mean).toLocaleString('en')}, smallest ${percent(smallest)}, largest +${percent(largest)}`,
);
if (largest / mean - 1 > BUDGET) {
  console.log(`more than ${100 * BUDGET} % above the mean`);
  process.exitCode = 1;
}

/** The shard of each slot, where each shard holds a range of slots, as `redis-cli --cluster create` deals them out. */
function rangesOf(/** @type {number} */ count) {
  const owner = new Uint16Array(SLOTS);
  for (let shard = 0; shard < count; shard += 1) {
    owner.fill(shard, Math.round((shard * SLOTS) / count), Math.round(((shard + 1) * SLOTS) / count));
  }
  return owner;
}

function sessionsOf(/** @type {number} */ percentile) {
  let below = 0;
  for (const [index, share] of SESSIONS_OF_A_USER.entries()) {
    below += share;
    if (percentile < below) return index + 1;
  }
  return 1;
}
