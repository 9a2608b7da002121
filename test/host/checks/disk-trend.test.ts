/** What the notes of how full the disks were say of the days to come. */
import { expect, test } from 'bun:test';
import { diskTrend } from '../../../src/host/checks/disk-trend.ts';
import type { DiskSample } from '../../../src/protocol/files/disk-samples.ts';
import { factDeps } from '../../support/fact-deps.ts';
import { putTree } from '../../support/machine-tree.ts';
import { memoryDirectory } from '../../support/temp-dir.ts';
import { findingOf } from './outcome-of.ts';

const FILE = '/var/lib/pipeops-agent-host/disk-samples.json';
const HOUR_MS = 3_600_000;
const START = Date.parse('2026-05-01T00:00:00Z');

const filling = (
  hours: number,
  used: (hour: number) => number,
  total: (hour: number) => number = () => 100,
): readonly DiskSample[] =>
  Array.from({ length: hours }, (_, hour) => ({
    at: new Date(START + hour * HOUR_MS).toISOString(),
    disks: [{ path: '/var/lib/rancher', used: used(hour), total: total(hour) }],
  }));
const found = async (samples: readonly DiskSample[]) => {
  await using machine = await memoryDirectory();
  await putTree(machine.path, { [FILE]: JSON.stringify({ v: 1, samples }) });
  return await findingOf(diskTrend, factDeps(machine.path));
};

test.each<[string, readonly DiskSample[]]>([
  ['one that stays as it is', filling(72, () => 70)],
  ['one that gets emptier', filling(72, (hour) => 80 - hour * 0.1)],
  ['one that fills in a month', filling(72, (hour) => 60 + hour * 0.03)],
  ['one that was looked at for a day', filling(24, (hour) => 50 + hour)],
  ['one that is past the mark, which another check tells', filling(72, (hour) => 50 + hour * 0.5)],
  [
    'one that was made larger meanwhile',
    filling(
      72,
      (hour) => 50 + hour * 0.1,
      (hour) => (hour < 60 ? 80 : 100),
    ),
  ],
  ['one without notes', []],
])('nothing is told of a disk: %s', async (_, samples) => {
  expect(await found(samples)).toBeUndefined();
});

test('a disk that fills within two weeks is told with its pace', async () => {
  expect(await found(filling(96, (hour) => 60 + hour / 12))).toMatchObject({
    code: 'DISK_FULL',
    message:
      'At its pace the disk of /var/lib/rancher is 85 % full in 8 days: now 68 %, 2.0 % more a day',
    fix: 'sudo pipeops-agent doctor --fix',
  });
});
