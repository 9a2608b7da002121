/** What a metric is, before it has a value. */
export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** For /metrics and docs/METRICS.md: one sentence. */
  readonly help: string;
  readonly labels: Readonly<Record<string, LabelValues>>;
  /** Upper bounds of a histogram, in its unit. */
  readonly buckets?: readonly number[];
  /** A worker has nothing to say about it. */
  readonly serverOnly?: true;
}

/**
 * Every value that a label can have; another one becomes `OTHER`. `own`: what this machine says of itself, one
 * value in the life of a process. Nothing that outsiders choose is ever a value.
 */
export type LabelValues = readonly string[] | 'own';

export type Labels = Readonly<Record<string, string>>;

/** In the place of a value that is not in the closed set of its label. */
const OTHER = 'other';

/** The labels as they may be shown. */
export function boundedLabels({ labels: known }: MetricDefinition, labels: Labels): Labels {
  const bounded = Object.entries(labels).map(([name, value]) => {
    const values = known[name] ?? [];
    return [name, values === 'own' || values.includes(value) ? value : OTHER];
  });
  return Object.fromEntries(bounded);
}
