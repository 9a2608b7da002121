import { useAnswer } from '../agent/use-answer.ts';
import { Chart } from '../parts/chart.tsx';
import { bytes } from '../text/format.ts';

const EVERY_MS = 30_000;
const MIB = 1_024 * 1_024;

const CHARTS = [
  {
    title: 'Processor',
    field: 'cpu_percent',
    least: 10,
    format: (value: number) => `${round(value)} %`,
  },
  { title: 'Memory', field: 'memory_bytes', least: 64 * MIB, format: bytes },
  {
    title: 'Requests',
    field: 'requests_per_second',
    least: 1,
    format: (value: number) => `${round(value)}/s`,
  },
  {
    title: 'Latency',
    field: 'latency_ms',
    least: 10,
    format: (value: number) => `${round(value)} ms`,
  },
] as const;

/** The machine and the requests through the agent over the last day. */
export function DayCharts() {
  const { answer } = useAnswer('GET /api/metrics/day', {}, { everyMs: EVERY_MS });
  if (answer === undefined || answer.times.length < 2) {
    return null;
  }
  return (
    <div class="cards charts">
      {CHARTS.map(({ title, field, least, format }) => {
        const values = answer[field];
        const newest = values.at(-1);
        return (
          <Chart
            key={field}
            {...{ title, values, least, format }}
            times={answer.times}
            now={newest === null || newest === undefined ? '–' : format(newest)}
          />
        );
      })}
    </div>
  );
}

function round(value: number): string {
  return value >= 10 || value === 0 ? String(Math.round(value)) : value.toFixed(1);
}
