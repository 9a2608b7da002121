/**
 * A machine whose whole /usr is read-only, as an image: the one line installs a server on it, which comes
 * back after a reboot; and nothing is left of it in the end.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { Machine } from '../vm/machine.ts';
import { compareStates, USER_BACKUPS } from '../vm/machine-state.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { installByOneLine, openStand, readyNodes, type Stand, TOKEN_FILE } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 600_000;
const READY_TIMEOUT_MS = 120_000;
/** As the start of such a system does it. */
const IMAGE_UNIT = `[Unit]
DefaultDependencies=no
Wants=local-fs-pre.target
Before=local-fs-pre.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'mount --bind /usr /usr && mount -o remount,ro,bind /usr'
RemainAfterExit=yes
[Install]
WantedBy=sysinit.target
`;

const progress = reportProgress('read-only-usr');
let stand: Stand;
let machine: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('read-only-usr');
  machine = await stand.lab.boot({ name: 'image', base: 'kubernetes', images: true });
  await stand.equip(machine);
  await machine.writeFile('/etc/systemd/system/image.service', IMAGE_UNIT);
  await machine.exec(['systemctl', 'enable', 'image.service']);
  await machine.reboot();
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

test(
  'a server is installed beside a read-only /usr, comes back, and goes without a trace',
  async () => {
    const touched = await machine.exec(['touch', '/usr/local/bin/x'], { check: false });
    expect(touched.stderr).toContain('Read-only file system');
    const before = await machine.snapshotState();

    const args = ['--token-file', TOKEN_FILE, '--json'];
    const installed = await installByOneLine(stand, machine, args);
    expect(installed.stderr).toContain('/usr/local is read-only here');
    await waitUntil('the node is ready', READY_TIMEOUT_MS, async () => {
      return (await readyNodes(machine)) === 1;
    });

    await machine.reboot();
    await waitUntil('the node is ready again', READY_TIMEOUT_MS, async () => {
      return (await readyNodes(machine).catch(() => 0)) === 1;
    });
    // The agent hears of the node a little later than kubectl.
    await waitUntil('all is well again', READY_TIMEOUT_MS, async () => {
      const health = await machine.exec(['pipeops-agent', 'health-check'], { check: false });
      return health.exitCode === 0;
    });

    await machine.exec(['pipeops-agent', 'uninstall', '--yes'], { timeoutMs: TEST_TIMEOUT_MS });
    expect(compareStates(before, await machine.snapshotState(), [USER_BACKUPS])).toEqual([]);
  },
  TEST_TIMEOUT_MS,
);
