/** A larger difference between the clocks of this machine and of a server is worth a warning, ms. */
const TOLERATED = 5_000;

/**
 * What to tell an operator about a server's clock; null if it agrees with this machine's.
 *
 * @param offset the server's clock less this machine's, ms.
 * @param server its name.
 */
export function clockWarning(offset: number, server: string): string | null {
  if (Math.abs(offset) <= TOLERATED) return null;
  const seconds = Math.round(Math.abs(offset) / 1000);
  return `The clock of ${server} is ${seconds} s ${offset > 0 ? 'ahead of' : 'behind'} the clock of this machine. Sessions follow ${server}; logs and tokens of other issuers do not. Synchronise both by NTP.`;
}
