/** What a demo promises: the main job, and when it keeps running shells, and machines that may be rebooted. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { bootAgain } from '../../scripts/demo/keep.ts';
import { shellArgv } from '../../scripts/demo/shell.ts';
import { runCommand } from './host-command.ts';
import { buildK3s, K3S_INSTALLER } from './k3s-build.ts';
import { startK3sMirror } from './k3s-mirror.ts';
import { type Lab, openLab } from './lab.ts';
import type { Machine } from './machine.ts';
import { initOf } from './nspawn.ts';
import { prepareTestMachines } from './prepare.ts';
import { reportProgress } from './progress.ts';
import { waitUntil } from './wait-until.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 180_000;
const LIMIT_MS = 60_000;
const DEMO_TIMEOUT_MS = 900_000;
/** The k3s for tests, published as if it were a release. */
const RELEASE = 'v1.36.7+k3s2';

let lab: Lab;
let machine: Machine;

beforeAll(async () => {
  await prepareTestMachines(reportProgress('demo.test'));
  lab = await openLab({ name: 'demo' });
  machine = await lab.boot({ name: 'alpha', base: 'plain' });
}, PREPARE_TIMEOUT_MS);

afterAll(async () => await lab?.[Symbol.asyncDispose](), TEST_TIMEOUT_MS);

async function init(of: Machine): Promise<number> {
  return await waitUntil('the machine runs', LIMIT_MS, () => initOf(of.group));
}

/** A shell under a terminal of ours, as a person has one. */
async function shell(on: Machine, terminal: string) {
  let screen = '';
  const child = Bun.spawn(await shellArgv(await init(on), terminal, []), {
    terminal: {
      cols: 100,
      rows: 30,
      data: (_, bytes) => {
        screen += Buffer.from(bytes).toString();
      },
    },
  });
  const shows = (text: string) =>
    waitUntil(`the shell shows "${text}": ${screen}`, LIMIT_MS, async () => screen.includes(text));
  return { child, shows, type: (line: string) => child.terminal?.write(`${line}\n`) };
}

test(
  'a shell has a terminal of the machine, by its name, and follows its size',
  async () => {
    const { child, shows, type } = await shell(machine, 'screen-256color');
    await shows('root@alpha');
    type('echo "$TERM at $(tty), $(stty size), in $PWD"');
    await shows('screen-256color at /dev/pts/');
    await shows('30 100, in /root');
    child.terminal?.resize(120, 40);
    type('until [ "$(stty size)" = "40 120" ]; do :; done; echo it is $((40)) high');
    await shows('it is 40 high');
    type('exit 7');
    expect(await child.exited).toBe(7);
  },
  TEST_TIMEOUT_MS,
);

test(
  'a terminal that the machine does not know is one that it does',
  async () => {
    const argv = await shellArgv(await init(machine), 'nobody-has-this', []);
    expect(argv).toContain('TERM=xterm-256color');
  },
  TEST_TIMEOUT_MS,
);

test(
  'a command needs no terminal',
  async () => {
    const argv = await shellArgv(await init(machine), undefined, [
      'sh',
      '-c',
      'cat; exit 3',
      'a b',
    ]);
    const child = Bun.spawn(argv, { stdin: new Blob(['piped']), stdout: 'pipe' });
    expect([await new Response(child.stdout).text(), await child.exited]).toEqual(['piped', 3]);
  },
  TEST_TIMEOUT_MS,
);

test(
  'a machine that is rebooted from inside comes back, and one that is switched off does not',
  async () => {
    const said: string[] = [];
    const rebooted = await lab.boot({ name: 'beta', base: 'plain' });
    const keeping = bootAgain(
      rebooted,
      (text) => said.push(text),
      () => false,
    );
    const before = await init(rebooted);
    const { child, shows, type } = await shell(rebooted, 'xterm-256color');
    await shows('root@beta'); // What is typed before that may be dropped.
    type('systemctl reboot');
    await child.exited;
    await waitUntil('it is up again', LIMIT_MS, async () => said.length === 2);
    expect(await init(rebooted)).not.toBe(before);
    await rebooted.exec(['systemctl', '--no-block', 'poweroff']);
    await keeping;
    expect(said).toEqual([
      'beta is rebooting …',
      'beta is up again.',
      'beta is off, and stays so.',
    ]);
  },
  TEST_TIMEOUT_MS,
);

test(
  'the demo takes a release of k3s that can be reached, and says which',
  async () => {
    const release = {
      version: RELEASE,
      binary: await buildK3s(RELEASE),
      installer: K3S_INSTALLER,
    };
    await using mirror = await startK3sMirror({ hostname: '127.0.0.1', releases: [release] });
    const argv = [process.execPath, join(import.meta.dir, '../../scripts/demo.ts'), '--json'];
    const { stdout, stderr } = await runCommand(argv, {
      env: { ...process.env, PIPEOPS_K3S_MIRROR: mirror.url, K3S_RELEASE: '' },
      timeoutMs: DEMO_TIMEOUT_MS,
    });
    expect(JSON.parse(stdout)).toMatchObject({
      k3s: { version: RELEASE, source: 'release' },
      ...{ nodes_ready: 2, agent_registered: true, deploy_succeeded: true },
      application_answered: true,
    });
    expect(stderr).toContain(`k3s is the release ${RELEASE}, from ${mirror.url}/download.`);
  },
  DEMO_TIMEOUT_MS,
);
