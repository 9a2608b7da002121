/** Memory over a run: what it has, and whether it grows. */
export interface Sample {
  /** Share of the run that is done, 0 to 1. */
  readonly at: number;
  readonly mib: number;
}

/** What the process holds after a garbage collection, MiB. */
export function rssMib(): number {
  Bun.gc(true);
  return process.memoryUsage.rss() / 1024 / 1024;
}

/** @returns MiB over one whole run, by the straight line that fits best (least squares) */
export function slope(samples: readonly Sample[]): number {
  const mean = (pick: (sample: Sample) => number) =>
    samples.reduce((sum, sample) => sum + pick(sample), 0) / samples.length;
  const [at, mib] = [mean((sample) => sample.at), mean((sample) => sample.mib)];
  const covariance = mean((sample) => (sample.at - at) * (sample.mib - mib));
  return covariance / mean((sample) => (sample.at - at) ** 2);
}
