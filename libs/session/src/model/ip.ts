import ipaddr from 'ipaddr.js';

/** How much of a client's address is kept. */
export type IpPrivacy = 'full' | 'truncated' | 'none';

export const IP_PRIVACY: readonly IpPrivacy[] = ['full', 'truncated', 'none'];

/** Bits of an address that name whoever connects: one IPv4 host; one IPv6 network, in which a host changes at will. */
const NETWORK_BITS = { ipv4: 32, ipv6: 64 } as const;

/** Bits that stay of a truncated address: many customers share what is left. */
const TRUNCATED_BITS = { ipv4: 24, ipv6: 48 } as const;

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/**
 * The address in its one canonical form, IPv4 in IPv6 clothing as IPv4, or null when the text is no address. Spellings
 * that only C libraries know (`127.1`, `0x7f.0.0.1`) are none: frameworks do not write them.
 */
export function canonicalIp(text: unknown): string | null {
  const address = parsed(text);
  return address === null ? null : address.toString();
}

/** The network by which clients are told apart: an IPv4 address, or the first 64 bits of an IPv6 address. */
export function networkOf(text: unknown): string | null {
  const address = parsed(text);
  return address === null ? null : prefix(address, NETWORK_BITS);
}

/** What is kept of an address; undefined where that is nothing. */
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
