import type { DiskSample } from '../../protocol/files/disk-samples.ts';
import { diskSamples } from '../facts/disk-samples.ts';
import { DISK_CLEANING_ID } from '../k3s/disk-cleaning.ts';
import { type Check, FIX_BY_DOCTOR } from './check.ts';
import { USED_PERCENT_MAX } from './disk-space.ts';

const DAY_MS = 24 * 3_600_000;
/** Of fewer, or of a shorter time, an installation or a deployment would be taken for a pace. */
const SAMPLES_MIN = 24;
const SPAN_MS_MIN = 2 * DAY_MS;
/** Beyond that a pace of two weeks says nothing. */
const DAYS_TOLD_MAX = 14;

interface Trend {
  readonly path: string;
  readonly percent: number;
  readonly percentADay: number;
  readonly days: number;
}

export const diskTrend: Check = {
  id: 'disk-trend',
  title: 'Disk, in the days to come',
  severity: 'warns',
  cost: 'dear',
  roles: ['server', 'worker'],
  why: `When ${USED_PERCENT_MAX} % of the disk are used, Kubernetes removes images, and a little later it evicts pods.`,
  remedy: `The agent notes every hour how full the disks are, for two weeks, and draws a line through that. \`doctor --fix\` removes
what nobody needs, and shows it first: images that no container uses, the journal beyond 200 MB, programs of earlier
versions of k3s. If that does not last: a larger disk, or see what grows:
\`sudo du -xh --max-depth=2 /var | sort -h | tail\`. The line needs two days of notes.`,
  repair: DISK_CLEANING_ID,
  needs: [diskSamples],
  run: async (facts) => {
    const trends = trendsOf(await facts(diskSamples));
    const soon = trends.filter(({ days }) => days <= DAYS_TOLD_MAX);
    return soon.length === 0
      ? undefined
      : {
          code: 'DISK_FULL',
          message: soon.map(tell).join('; '),
          hint: 'Make room',
          fix: FIX_BY_DOCTOR,
          details: { disks: soon },
        };
  },
};

function tell({ path, percent, percentADay, days }: Trend): string {
  const when = days < 1 ? 'within a day' : `in ${Math.floor(days)} days`;
  return `At its pace the disk of ${path} is ${USED_PERCENT_MAX} % full ${when}: now ${percent.toFixed(0)} %, ${percentADay.toFixed(1)} % more a day`;
}

/** One for each disk that fills; a disk that was made larger begins anew. */
function trendsOf(samples: readonly DiskSample[]): readonly Trend[] {
  const last = samples.at(-1);
  return (last?.disks ?? []).flatMap(({ path, total }) => {
    const points = samples.flatMap(({ at, disks }) =>
      disks
        .filter((disk) => disk.path === path && disk.total === total)
        .map(({ used }) => ({ days: Date.parse(at) / DAY_MS, percent: (used / total) * 100 })),
    );
    const first = points[0]?.days ?? 0;
    const spanMs = ((points.at(-1)?.days ?? 0) - first) * DAY_MS;
    const percent = points.at(-1)?.percent ?? 0;
    if (points.length < SAMPLES_MIN || spanMs < SPAN_MS_MIN || percent >= USED_PERCENT_MAX) {
      return [];
    }
    const percentADay = slopeOf(points);
    return percentADay <= 0
      ? []
      : [{ path, percent, percentADay, days: (USED_PERCENT_MAX - percent) / percentADay }];
  });
}

/** By the method of least squares. */
function slopeOf(points: readonly { readonly days: number; readonly percent: number }[]): number {
  const mean = (of: (point: (typeof points)[number]) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [days, percent] = [mean((point) => point.days), mean((point) => point.percent)];
  const spread = mean((point) => (point.days - days) ** 2);
  return mean((point) => (point.days - days) * (point.percent - percent)) / spread;
}
