/** Who wants to know whether the events of other instances arrive. */
export interface HearingWatch {
  /** Longest time in which a break may go unnoticed, ms. */
  readonly within: number;
  /** Events may be missed from now on. */
  readonly onLost: () => void;
  /** Every event of an operation that begins from now on will be heard, until `onLost`. */
  readonly onHeard: () => void;
}
