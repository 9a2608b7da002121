/** Rules and dashboard name only metrics that there are. What Prometheus thinks of them: test/vm/prometheus. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { METRICS } from '../../src/telemetry/metrics/table.ts';

const DIRECTORY = join(import.meta.dir, '../../docs/observability');
const read = (name: string) => Bun.file(join(DIRECTORY, name)).text();

/** Behind a histogram come its parts. */
const KNOWN = Object.entries(METRICS).flatMap(([name, { type }]) =>
  type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
);

test.each(['rules.yaml', 'dashboard.json'])(
  '%s asks only for metrics of the agent',
  async (file) => {
    const text = await read(file);
    const recorded = [...(await read('rules.yaml')).matchAll(/record: (\S+)/g)].map(
      ([, name]) => name,
    );
    const asked = [...text.matchAll(/\b(?:pipeops_agent[a-z0-9_:]+|process_[a-z_]+)/g)].map(
      ([name]) => name,
    );
    const known = new Set([...KNOWN, ...recorded, 'pipeops_agent_info']);
    expect([...new Set(asked)].filter((name) => !known.has(name))).toEqual([]);
    expect(asked.length).toBeGreaterThan(10);
  },
);
