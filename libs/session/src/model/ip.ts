import ipaddr from 'ipaddr.js';

/** How much of a client's address is kept. */
export type IpPrivacy = 'full' | 'truncated' | 'none';

export const IP_PRIVACY: readonly IpPrivacy[] = ['full', 'truncated', 'none'];

/**
 * Number of leading bits that identify a client: all of IPv4; of IPv6 the network, in which a host may change its
 * address.
 */
const NETWORK_BITS = { ipv4: 32, ipv6: 64 } as const;

/** Number of bits that remain of a truncated address, which many customers share. */
const TRUNCATED_BITS = { ipv4: 24, ipv6: 48 } as const;

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/**
 * The address in canonical form, IPv4-mapped IPv6 as IPv4, or null when the text is not an address. Spellings that only C
 * libraries accept (`127.1`, `0x7f.0.0.1`) are refused: frameworks do not write them.
 */
export function canonicalIp(text: unknown): string | null {
  const address = parsed(text);
  return address === null ? null : address.toString();
}

/** The network that identifies a client: an IPv4 address, or the first 64 bits of an IPv6 address. */
export function networkOf(text: unknown): string | null {
  const address = parsed(text);
  return address === null ? null : prefix(address, NETWORK_BITS);
}

/** The part of an address that is kept; undefined for none. */
export function keptIp(text: unknown, privacy: IpPrivacy): string | undefined {
  const address = privacy === 'none' ? null : parsed(text);
  if (address === null) return undefined;
  return privacy === 'full' ? address.toString() : prefix(address, TRUNCATED_BITS);
}

function parsed(text: unknown): Address | null {
  if (typeof text !== 'string' || text.length > 64) return null;
  const [address = ''] = text.split('%');
  if (ipaddr.IPv4.isValidFourPartDecimal(address)) return ipaddr.IPv4.parse(address);
  return ipaddr.IPv6.isValid(address) ? ipaddr.process(address) : null;
}

function prefix(address: Address, bits: Readonly<Record<'ipv4' | 'ipv6', number>>): string {
  const bytes = address.toByteArray();
  const kept = bits[address.kind()] / 8;
  return ipaddr.fromByteArray(bytes.map((byte, index) => (index < kept ? byte : 0))).toString();
}

/**
 * Whether an address lies in a range, such as `203.0.113.0/24` or `2001:db8::/32`; an address alone is the range of itself.
 * Null for a range that cannot be read.
 */
export function ipRange(text: unknown): ((ip: unknown) => boolean) | null {
  if (typeof text !== 'string') return null;
  const [base, bits, ...rest] = text.split('/');
  const address = parsed(base);
  if (address === null || rest.length > 0) return null;
  const most = address.kind() === 'ipv4' ? 32 : 128;
  if (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= most)) return null;
  const length = bits === undefined ? most : Number(bits);
  return (ip) => {
    const candidate = parsed(ip);
    // `match` throws for addresses of the other kind.
    return candidate !== null && candidate.kind() === address.kind() && candidate.match(address, length);
  };
}
