/** Counts over all tunnels of this process, for metrics. They only go up, except `active`. */
export interface TunnelCounters {
  accepted: number;
  /** Over the limit, with an invalid header, or to a target that may not be reached. */
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
