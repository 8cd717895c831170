const SLOTS = 16_384;

/** The slot of a key in a Redis Cluster: CRC-16/XMODEM of the key, or of its hash tag (Redis Cluster specification). */
export function keySlot(key: string): number {
  const tag = /\{([^}]+)\}/.exec(key)?.[1];
  const open = key.indexOf('{');
  // `{}` before a tag: the whole key counts.
  const hashed = tag !== undefined && key.startsWith(`{${tag}`, open) ? tag : key;
  let crc = 0;
  for (const byte of Buffer.from(hashed)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc % SLOTS;
}
