import { HASH_TAGS } from '../../src/redis/hash-tags.js';
import { keySlot } from '../../src/redis/key-slot.js';

describe('the slot of a key', () => {
  it('is that of the Redis Cluster specification', () => {
    // The example of the specification, and one with a tag.
    expect(keySlot('123456789')).toBe(0x31c3);
    expect(keySlot('user:{123456789}:a')).toBe(0x31c3);
    expect(HASH_TAGS.map((tag) => keySlot(`session:{${tag}}:x`))).toEqual(HASH_TAGS.map((_, bucket) => bucket * 16));
  });

  it('is that of the whole key where the first braces are empty or not closed', () => {
    expect(keySlot('a{}{123456789}')).not.toBe(0x31c3);
    expect(keySlot('a{123456789')).not.toBe(0x31c3);
    expect(keySlot('{{123456789}')).toBe(keySlot('{123456789'));
  });
});
