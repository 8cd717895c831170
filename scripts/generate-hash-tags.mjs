// Writes the table of hash tags: for every 16th slot of a Redis Cluster the shortest text that falls into it. The table is
// committed because stored keys depend on it; a test computes each tag's slot anew.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SLOTS = 16384;
const STEP = 16;

/**
 * CRC-16/XMODEM, as the Redis Cluster specification defines key slots.
 * @param {string} text
 */
function crc16(text) {
  let crc = 0;
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
}

const tags = new Map();
for (let number = 0; tags.size < SLOTS / STEP; number += 1) {
  const tag = number.toString(36);
  const slot = crc16(tag) % SLOTS;
  if (slot % STEP === 0 && !tags.has(slot / STEP)) tags.set(slot / STEP, tag);
}
const ordered = Array.from({ length: SLOTS / STEP }, (_, bucket) => tags.get(bucket));
const lines = [];
for (let first = 0; first < ordered.length; first += 16)
  lines.push(`  '${ordered.slice(first, first + 16).join(' ')}',`);
writeFileSync(
  fileURLToPath(new URL('../libs/session/src/redis/hash-tags.ts', import.meta.url)),
  `/**
 * Hash tags of the 1,024 buckets: the tag of bucket b falls into slot 16 b of a Redis Cluster, so that buckets spread evenly
 * over any number of shards. Stored keys depend on this table: it never changes. Made by scripts/generate-hash-tags.mjs.
 */
export const HASH_TAGS: readonly string[] = [
${lines.join('\n')}
].flatMap((row) => row.split(' '));
`,
);
