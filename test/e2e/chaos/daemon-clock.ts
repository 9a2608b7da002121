/**
 * The clock of a machine is the host's, so the daemon's alone is moved: libfaketime reads a file at
 * each look at the clock. The monotonic clock stays, as it does when a real clock is set.
 */
import type { Machine } from '../../vm/machine.ts';
import { waitUntil } from '../../vm/wait-until.ts';
import { askDaemon } from './ask-daemon.ts';
import type { ReadyWatch } from './ready-watch.ts';

const UNIT = 'pipeops-agent.service';
const DROP_IN = `/etc/systemd/system/${UNIT}.d/clock.conf`;
const CLOCK_FILE = '/etc/faketime';
const TIMEOUT_MS = 30_000;
const HOUR_MS = 3_600_000;
const TOLERANCE_MS = 60_000;

/** Starts the daemon again with a clock that can be moved; once is enough. */
export async function giveDaemonItsOwnClock(server: Machine, ready: ReadyWatch): Promise<void> {
  const { exitCode } = await server.exec(['test', '-e', DROP_IN], { check: false });
  if (exitCode === 0) {
    return;
  }
  const find = ['sh', '-c', 'ls /usr/lib/*/faketime/libfaketime.so.1'];
  const library = (await server.exec(find)).stdout.trim();
  const environment = [
    ...[`LD_PRELOAD=${library}`, `FAKETIME_TIMESTAMP_FILE=${CLOCK_FILE}`],
    ...['FAKETIME_NO_CACHE=1', 'FAKETIME_DONT_FAKE_MONOTONIC=1'],
  ];
  await server.writeFile(CLOCK_FILE, '+0h\n');
  await server.writeFile(DROP_IN, `[Service]\nEnvironment=${environment.join(' ')}\n`);
  await server.exec(['systemctl', 'daemon-reload']);
  const since = performance.now();
  await server.exec(['systemctl', 'restart', UNIT]);
  await ready.next('ready with its own clock', since, TIMEOUT_MS, (each) => each.ready);
}

/** Resolves when the daemon sees it. */
export async function setDaemonClock(server: Machine, hoursAhead: number): Promise<void> {
  await server.writeFile(CLOCK_FILE, `+${hoursAhead}h\n`);
  await waitUntil('the clock of the daemon has jumped', TIMEOUT_MS, async () => {
    const { timestamp } = await askDaemon(server);
    const aheadMs = new Date(timestamp).getTime() - Date.now();
    return Math.abs(aheadMs - hoursAhead * HOUR_MS) < TOLERANCE_MS;
  });
}
