import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import Registry from 'prom-client/lib/registry.js';
import { boundedLabels, type Labels, type MetricDefinition } from './definition.ts';
import type { Histograms } from './histograms.ts';
import { type HistogramName, METRICS, type ValueName } from './table.ts';

export type Samples = readonly (readonly [Labels, number])[];

/** What counters and gauges are now; those that are left out are not told. */
export type MetricValues = Readonly<Partial<Record<ValueName, number | Samples>>>;

export interface Exposition {
  readonly type: string;
  readonly text: string;
}

/** Only this format has exemplars (OpenMetrics 1.0). */
const OPEN_METRICS = 'application/openmetrics-text';

/**
 * All metrics as text.
 * @param accept of the request: Prometheus asks for OpenMetrics, others get the older format
 */
export async function exposition(
  values: MetricValues,
  histograms: Histograms,
  accept: string,
): Promise<Exposition> {
  const type = accept.includes(OPEN_METRICS)
    ? Registry.OPENMETRICS_CONTENT_TYPE
    : Registry.PROMETHEUS_CONTENT_TYPE;
  // Made for this one answer: in OpenMetrics it renames the counters that it has.
  const registry = new Registry(type);
  const measured = histograms.all();
  for (const [name, definition] of Object.entries<MetricDefinition>(METRICS)) {
    const histogram = measured.get(name as HistogramName);
    const value = values[name as ValueName];
    if (histogram !== undefined) {
      registry.registerMetric(histogram);
    } else if (value !== undefined) {
      add(registry, name, definition, typeof value === 'number' ? [[{}, value]] : value);
    }
  }
  return { type, text: await registry.metrics() };
}

function add(
  registry: InstanceType<typeof Registry>,
  name: string,
  definition: MetricDefinition,
  samples: Samples,
): void {
  const { help, labels, type } = definition;
  const options = { name, help, labelNames: Object.keys(labels), registers: [registry] };
  const metric = type === 'counter' ? new Counter(options) : new Gauge(options);
  for (const [given, value] of samples) {
    metric.inc(boundedLabels(definition, given), value);
  }
}
