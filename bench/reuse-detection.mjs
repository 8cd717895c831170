// What losing answers costs under each rule for replaced tokens: histories of refreshes against the library's own table.
//   node bench/reuse-detection.mjs --histories 200000 --seed 1
import { parseArgs } from 'node:util';
import { evaluate, familyAfter, inUse, newTokenFamily } from '../libs/session/dist/esm/model/token-family.js';

const MINUTE = 60_000;
const GRACE = 30_000;
const REFRESHES = 12;
const [LOST, LATE] = [0.05, 0.03];
const HASH = Buffer.alloc(32, 1);

const { values } = parseArgs({
  options: { histories: { type: 'string', default: '200000' }, seed: { type: 'string', default: '1' } },
});
const histories = Number(values.histories);
const random = mulberry32(Number(values.seed));

/** @type {[string, import('nestjs-sessions').ReuseDetection, boolean][]} name, option, whether use of the access token counts */
const RULES = [
  ['after-grace: past 30 s every replay is reuse', 'after-grace', false],
  ['until the successor itself was presented', 'after-use', false],
  ['after-use: until the successor or its access token was used', 'after-use', true],
];

for (const [name, reuseDetection, accessCounts] of RULES) {
  let signedOut = 0;
  const caught = { atOnce: 0, atOwnersRefresh: 0, never: 0 };
  for (let index = 0; index < histories; index += 1) {
    if (!survives(reuseDetection, accessCounts)) signedOut += 1;
    caught[theft(reuseDetection, accessCounts)] += 1;
  }
  const percent = (/** @type {number} */ count) => `${((100 * count) / histories).toFixed(3)} %`;
  console.log(name);
  console.log(`  honest sign-outs in ${REFRESHES} refreshes: ${percent(signedOut)}`);
  console.log(
    `  thief with a token just replaced: caught at once ${percent(caught.atOnce)}, at the owner's next refresh ${percent(caught.atOwnersRefresh)}, never ${percent(caught.never)}`,
  );
}

/** A server with one family, by the library's own table. */
function server(/** @type {'after-use' | 'after-grace'} */ reuseDetection) {
  let family = newTokenFamily(HASH, 0);
  const rule = { grace: GRACE, rotateAfter: GRACE, rotateFirst: true, reuseDetection };
  return {
    /** The token that the client is to hold, or null where the session ended. */
    present(/** @type {{ generation: number, branch: number }} */ token, /** @type {number} */ now) {
      const presented = { hash: HASH, ...token };
      const verdict = evaluate(family, presented, now, rule);
      if (verdict === 'reuse' || verdict === 'unknown') return null;
      family = familyAfter(family, verdict, presented, now);
      return { generation: family.generation, branch: family.branch };
    },
    use(/** @type {{ branch: number }} */ token) {
      if (token.branch === family.branch) family = inUse(family);
    },
  };
}

/**
 * One client that refreshes every 15 minutes or so and uses each access token within that time. Without an answer it asks again:
 * half of the time soon, else when it is next used. An answer that is 5 to 90 seconds late counts if it comes before the client
 * asks again; else it arrives after the answer to that, and takes its place.
 */
function survives(/** @type {'after-use' | 'after-grace'} */ reuseDetection, /** @type {boolean} */ accessCounts) {
  const { present, use } = server(reuseDetection);
  let held = { generation: 0, branch: 0 };
  let now = MINUTE;
  for (let refresh = 0; refresh < REFRESHES; refresh += 1) {
    let late = null;
    for (;;) {
      const answer = present(held, now);
      if (!answer) return false;
      const fate = random();
      const asksAgainAfter = random() < 0.5 ? 2_000 + random() * 20_000 : MINUTE / 2 + random() * 30 * MINUTE;
      if (fate >= LOST + LATE || (fate >= LOST && 5_000 + random() * 85_000 < asksAgainAfter)) {
        held = answer;
        break;
      }
      if (fate >= LOST) late = answer;
      now += asksAgainAfter;
    }
    if (accessCounts && random() < 0.8) use(held);
    if (late) held = late;
    now += 10 * MINUTE + random() * 10 * MINUTE;
  }
  return true;
}

/** A thief who presents a token that its owner has just replaced, between two refreshes of the owner, and uses what it gets. */
function theft(/** @type {'after-use' | 'after-grace'} */ reuseDetection, /** @type {boolean} */ accessCounts) {
  const { present, use } = server(reuseDetection);
  const stolen = { generation: 0, branch: 0 };
  const owners = present(stolen, MINUTE);
  if (!owners) throw new Error('the first refresh rotates');
  // In four of five cases the owner uses the application before the thief comes.
  if (accessCounts && random() < 0.8) use(owners);
  const arrives = MINUTE + GRACE + 2 + random() * 14 * MINUTE;
  const thiefs = present(stolen, arrives);
  if (!thiefs) return 'atOnce';
  if (accessCounts) use(thiefs);
  else present(thiefs, arrives + GRACE + 1);
  return present(owners, arrives + GRACE * 2 + 15 * MINUTE) ? 'never' : 'atOwnersRefresh';
}

/** A seeded source of numbers from 0 to 1. */
function mulberry32(/** @type {number} */ seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
