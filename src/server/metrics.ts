/** One metric in Prometheus' text format (prometheus.io, "Exposition formats"). */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly samples: readonly {
    readonly labels?: Readonly<Record<string, string>>;
    readonly value: number;
  }[];
}

export function renderMetrics(metrics: readonly Metric[]): string {
  return metrics
    .map((metric) => {
      const lines = metric.samples.map(
        (sample) => `${metric.name}${renderLabels(sample.labels ?? {})} ${sample.value}`,
      );
      return [
        `# HELP ${metric.name} ${metric.help}`,
        `# TYPE ${metric.name} ${metric.type}`,
        ...lines,
      ]
        .map((line) => `${line}\n`)
        .join('');
    })
    .join('');
}

function renderLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    const escaped = value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
    return `${name}="${escaped}"`;
  });
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}
