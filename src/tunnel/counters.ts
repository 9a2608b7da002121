/** What all tunnels of this process did, for metrics. Only ever counts up, but for `active`. */
export interface TunnelCounters {
  accepted: number;
  /** Over the limit, of an unknown form, or to what may not be reached. */
  refused: number;
  active: number;
  dialErrors: number;
  /** Streams that ended before their data did. */
  copyErrors: number;
  /** From the peer to targets. */
  bytesIn: number;
  bytesOut: number;
}

export function tunnelCounters(): TunnelCounters {
  return {
    accepted: 0,
    refused: 0,
    active: 0,
    dialErrors: 0,
    copyErrors: 0,
    bytesIn: 0,
    bytesOut: 0,
  };
}
