import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';

const HEIGHT_PX = 120;

interface ChartProps {
  readonly title: string;
  /** What stands beside the title: the newest value. */
  readonly now: string;
  /** Unix seconds. */
  readonly times: readonly number[];
  readonly values: readonly (number | null)[];
  readonly format: (value: number) => string;
  /** The top of the scale where the values are lower. */
  readonly least: number;
}

/** One series over the last day. */
export function Chart({ title, now, times, values, format, least }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  // uPlot's types want lists that it may change; it does not.
  const data: uPlot.AlignedData = [[...times], [...values]];
  useEffect(() => {
    const div = place.current;
    if (div === null) {
      return;
    }
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(div, format, least), data, div);
    };
    draw();
    const resized = new ResizeObserver(() =>
      plot.current?.setSize({ width: div.clientWidth, height: HEIGHT_PX }),
    );
    resized.observe(div);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', draw);
    return () => {
      resized.disconnect();
      scheme.removeEventListener('change', draw);
      plot.current?.destroy();
    };
  }, []);
  useEffect(() => plot.current?.setData(data), [times, values]);
  return (
    <figure class="card chart">
      <figcaption>
        {title} <strong>{now}</strong>
      </figcaption>
      <div ref={place} role="img" aria-label={`${title} over the last day, now ${now}`} />
    </figure>
  );
}

function options(div: HTMLElement, format: ChartProps['format'], least: number): uPlot.Options {
  const style = getComputedStyle(div);
  const colour = (name: string) => style.getPropertyValue(name);
  const axis = {
    stroke: colour('--muted'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui',
  };
  return {
    width: div.clientWidth,
    height: HEIGHT_PX,
    legend: { show: false },
    cursor: { points: { size: 6 }, drag: { x: false, y: false } },
    scales: { y: { range: (_plot, _least, most) => [0, Math.max(least, (most ?? 0) * 1.1)] } },
    axes: [
      { ...axis, space: 70, size: 22, values: '{HH}:{mm}' },
      { ...axis, space: 34, size: 58, values: (_plot, ticks) => ticks.map(format) },
    ],
    series: [
      {},
      {
        stroke: colour('--accent'),
        width: 1.5,
        fill: colour('--accent-soft'),
        spanGaps: false,
        points: { show: false },
      },
    ],
  };
}
