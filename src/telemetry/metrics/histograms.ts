import type { Histogram as PromHistogram } from 'prom-client';
import Histogram from 'prom-client/lib/histogram.js';
import { boundedLabels, type Labels, type MetricDefinition } from './definition.ts';
import { type HistogramName, METRICS } from './table.ts';

/** What is measured again and again, and kept as counts. */
export interface Histograms {
  /**
   * @param seconds that it took
   * @param exemplar what names this one measurement for a person: a command, a trace; at most 128 characters
   */
  observe(name: HistogramName, labels: Labels, seconds: number, exemplar?: Labels): void;
  all(): ReadonlyMap<HistogramName, PromHistogram>;
}

/** @param isServer whether those that only a server has are there */
export function metricHistograms(isServer: boolean): Histograms {
  const all = new Map<HistogramName, PromHistogram>();
  for (const [name, definition] of Object.entries<MetricDefinition>(METRICS)) {
    if (definition.type === 'histogram' && (isServer || definition.serverOnly !== true)) {
      all.set(name as HistogramName, made(name, definition));
    }
  }
  return {
    observe: (name, labels, value, exemplarLabels = {}) =>
      all.get(name)?.observe({
        labels: boundedLabels(METRICS[name], labels),
        value,
        exemplarLabels,
      }),
    all: () => all,
  };
}

function made(name: string, { help, labels, buckets = [] }: MetricDefinition): PromHistogram {
  return new Histogram({
    name,
    help,
    labelNames: Object.keys(labels),
    buckets: [...buckets],
    enableExemplars: true,
    registers: [],
  });
}
