/** What a record of the database holds. */
export type MmdbValue = string | number | boolean | readonly MmdbValue[] | { readonly [key: string]: MmdbValue };

const METADATA_MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
/** Bits of a pointer in the search tree. */
const RECORD_BITS = 32;
const DATA_SEPARATOR = Buffer.alloc(16);

/**
 * A MaxMind database, format 2.0, as bytes: an IPv6 search tree in which IPv4 networks lie under `::/96`, then the records,
 * then the metadata (https://maxmind.github.io/MaxMind-DB/). For tests: no pointers, no sharing of nodes.
 */
export function mmdbOf(networks: Readonly<Record<string, MmdbValue>>): Buffer {
  const nodes: (number | null | { readonly record: number })[][] = [[null, null]];
  const records: Buffer[] = [];
  for (const [network, value] of Object.entries(networks)) {
    const [address = '', length = ''] = network.split('/');
    const bits = bitsOf(address).slice(0, (address.includes('.') ? 96 : 0) + Number(length));
    let node = 0;
    bits.forEach((bit, index) => {
      const branches = nodes[node] as (number | null | { readonly record: number })[];
      if (index === bits.length - 1) {
        branches[bit] = { record: Buffer.concat(records).length };
      } else {
        if (typeof branches[bit] !== 'number') branches[bit] = nodes.push([null, null]) - 1;
        node = branches[bit];
      }
    });
    records.push(encode(value));
  }
  const tree = Buffer.alloc(nodes.length * 8);
  nodes.forEach((branches, index) => {
    branches.forEach((branch, side) => {
      const pointer =
        branch === null ? nodes.length : typeof branch === 'number' ? branch : nodes.length + 16 + branch.record;
      tree.writeUInt32BE(pointer, index * 8 + side * 4);
    });
  });
  const metadata = encode({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_700_000_000,
    database_type: 'GeoLite2-City',
    description: { en: 'made by a test' },
    ip_version: 6,
    languages: ['en', 'de'],
    node_count: nodes.length,
    record_size: RECORD_BITS,
  });
  return Buffer.concat([tree, DATA_SEPARATOR, ...records, METADATA_MARKER, metadata]);
}

function bitsOf(address: string): number[] {
  const bytes = address.includes('.')
    ? [...new Array<number>(12).fill(0), ...address.split('.').map(Number)]
    : groupsOf(address).flatMap((group) => [group >> 8, group & 255]);
  return bytes.flatMap((byte) => [7, 6, 5, 4, 3, 2, 1, 0].map((shift) => (byte >> shift) & 1));
}

function groupsOf(address: string): number[] {
  const [head = [], tail = []] = address.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const zeros = new Array<string>(8 - head.length - tail.length).fill('0');
  return [...head, ...zeros, ...tail].map((group) => parseInt(group, 16));
}

function encode(value: MmdbValue): Buffer {
  if (typeof value === 'string') return Buffer.concat([control(2, Buffer.byteLength(value)), Buffer.from(value)]);
  if (typeof value === 'boolean') return control(14, value ? 1 : 0);
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return Buffer.concat([control(6, 4), bytes]);
  }
  if (Array.isArray(value)) return Buffer.concat([control(11, value.length), ...(value as MmdbValue[]).map(encode)]);
  const entries = Object.entries(value as Record<string, MmdbValue>);
  return Buffer.concat([
    control(7, entries.length),
    ...entries.flatMap(([key, inner]) => [encode(key), encode(inner)]),
  ]);
}

/** Type in the upper three bits, or 0 there and the type above 7 in a byte of its own; size in the lower five. */
function control(type: number, size: number): Buffer {
  if (size > 28 + 255) throw new Error('longer than this writer needs to be able to');
  const [first, ...more] = size < 29 ? [size] : [29, size - 29];
  return Buffer.from([(type <= 7 ? type << 5 : 0) | first, ...(type <= 7 ? [] : [type - 7]), ...more]);
}
