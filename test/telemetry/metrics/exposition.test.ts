import { expect, test } from 'bun:test';
import { exposition, type MetricValues } from '../../../src/telemetry/metrics/exposition.ts';
import { metricHistograms } from '../../../src/telemetry/metrics/histograms.ts';

const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
const TEXT = 'text/plain; version=0.0.4; charset=utf-8';
const VALUES: MetricValues = {
  pipeops_agent_info: [[{ version: 'a"b\\c\nd', agent_id: 'a1', role: 'server' }, 1]],
  pipeops_agent_commands_total: [
    [{ outcome: 'succeeded' }, 3],
    [{ outcome: 'failed' }, 0],
  ],
};

/** Without the histograms that have no measurement yet. */
const told = async (accept: string, histograms = metricHistograms(true)) => {
  const { type, text } = await exposition(VALUES, histograms, accept);
  const lines = text
    .split('\n')
    .filter((line) => /info|commands_total|commands counter|command_duration/.test(line));
  return { type, lines: lines.filter((line) => !line.startsWith('# HELP')) };
};

test('a scraper that asks for nothing gets the text format, with labels escaped', async () => {
  expect(await told('*/*')).toEqual({
    type: TEXT,
    lines: [
      '# TYPE pipeops_agent_info gauge',
      'pipeops_agent_info{version="a\\"b\\\\c\\nd",agent_id="a1",role="server"} 1',
      '# TYPE pipeops_agent_commands_total counter',
      'pipeops_agent_commands_total{outcome="succeeded"} 3',
      'pipeops_agent_commands_total{outcome="failed"} 0',
      '# TYPE pipeops_agent_command_duration_seconds histogram',
    ],
  });
});

test('names of counters stay whole after one scraper asked for OpenMetrics, which names their family', async () => {
  const histograms = metricHistograms(true);
  const open = await told(`${OPEN_METRICS},text/plain;q=0.5`, histograms);
  expect(open).toMatchObject({
    type: OPEN_METRICS,
    lines: expect.arrayContaining([
      '# TYPE pipeops_agent_commands counter',
      'pipeops_agent_commands_total{outcome="succeeded"} 3',
    ]),
  });
  expect(await told('', histograms)).toEqual(await told(''));
});

test('in OpenMetrics a measurement names its command', async () => {
  const histograms = metricHistograms(true);
  const labels = { type: 'deploy', outcome: 'succeeded' };
  histograms.observe('pipeops_agent_command_duration_seconds', labels, 0.3, { command_id: 'c-1' });
  const { text } = await exposition(VALUES, histograms, OPEN_METRICS);
  expect(text).toMatch(
    /^pipeops_agent_command_duration_seconds_bucket\{le="0.5",type="deploy",outcome="succeeded"\} 1 # \{command_id="c-1"\} 0.3 \d+(\.\d+)?$/m,
  );
  expect(text).toEndWith('\n# EOF\n');
});

test('whatever others choose, a label has no value but those of its closed set', async () => {
  const histograms = metricHistograms(true);
  for (let number = 0; number < 1_000; number += 1) {
    histograms.observe('pipeops_agent_command_duration_seconds', { type: `t${number}` }, 1);
  }
  const { text } = await exposition(VALUES, histograms, '');
  const series = text.match(/^pipeops_agent_command_duration_seconds_count.*$/gm);
  expect(series).toEqual(['pipeops_agent_command_duration_seconds_count{type="other"} 1000']);
});

test('a worker tells nothing of what only a server has', async () => {
  const { text } = await exposition({}, metricHistograms(false), '');
  expect(text.match(/^# TYPE .*$/gm)).toEqual([
    '# TYPE pipeops_agent_event_loop_lag_seconds histogram',
  ]);
});
