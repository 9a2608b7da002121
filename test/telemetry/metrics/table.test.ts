import { expect, test } from 'bun:test';
import { COMMAND_HANDLERS } from '../../../src/commands/registry.ts';
import type { MetricDefinition } from '../../../src/telemetry/metrics/definition.ts';
import { METRICS } from '../../../src/telemetry/metrics/table.ts';

/** As many time series as a metric may become at most: without its buckets. */
const SERIES_MAX = 120;

const ALL = Object.entries<MetricDefinition>(METRICS);

test('the type of a command is a label for each that this agent knows', () => {
  const { type = [] } = METRICS.pipeops_agent_command_duration_seconds.labels;
  expect([...type].toSorted()).toEqual(COMMAND_HANDLERS.map((handler) => handler.type).toSorted());
});

test.each(ALL)('%s has labels of few and different values', (_, { labels }) => {
  const sets = Object.values(labels).filter((values) => values !== 'own');
  expect(sets.map((values) => new Set(values).size)).toEqual(sets.map(({ length }) => length));
  expect(sets.reduce((series, values) => series * values.length, 1)).toBeLessThan(SERIES_MAX);
});

test.each(ALL)('%s has buckets that rise, where it is a histogram, and else none', (_, metric) => {
  const { type, buckets = [] } = metric;
  expect(buckets.length > 0).toBe(type === 'histogram');
  expect(buckets.toSorted((a, b) => a - b)).toEqual([...buckets]);
});
