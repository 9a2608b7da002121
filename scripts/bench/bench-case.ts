/** One measured thing. `ours` and `peer` are in `unit`; `met` tells whether the target is. */
export interface BenchCase {
  readonly case: string;
  readonly unit: 'µs' | 'ms' | 'MiB' | 'MB/s' | '1/s' | '% of a processor';
  readonly ours: number;
  readonly peer?: number;
  readonly peer_name?: string;
  readonly ratio?: number;
  readonly target: number;
  readonly met: boolean;
}
