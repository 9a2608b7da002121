/**
 * The first hour of a new user: the lines of README as they are written there, typed by somebody who
 * may use sudo, on machines with nothing on them, in an internet with the real names.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Lab, openLab } from '../vm/lab.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { type Internet, openInternet } from './internet.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 900_000;
const LINE_TIMEOUT_MS = 240_000;
const REGISTER_TIMEOUT_MS = 60_000;
const TOKEN = 'cp-first-hour-2f6d9c11';
/** Who types: not root, but may use sudo. */
const USER = 'ada';

const progress = reportProgress('first-hour');
/** What install.sh says of the release that scripts/release.ts has made. */
const SIGNATURE = /The signature of pipeops-agent \S+ is good \(release key 1\)\n/;
const IGNORE_CHECKS = 'PIPEOPS_IGNORE_CHECKS';

let lab: Lab;
let internet: Internet;
let server: Machine;
let worker: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  lab = await openLab({ name: 'first-hour' });
  internet = await openInternet(lab, TOKEN);
  [server, worker] = await Promise.all([boot('production-1'), boot('rack-2')]);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await internet?.[Symbol.asyncDispose]();
  await lab?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

async function boot(name: string): Promise<Machine> {
  const { hosts } = internet;
  const machine = await lab.boot({ name, base: 'kubernetes', images: true, hosts });
  await machine.exec(['useradd', '--create-home', '--shell', '/bin/bash', USER]);
  // What a host with cgroup v1 needs (test/vm/README.md) is the only variable that gets through.
  const sudoers = `${USER} ALL=(ALL) NOPASSWD: ALL\nDefaults env_keep += "${IGNORE_CHECKS}"\n`;
  await machine.writeFile(`/etc/sudoers.d/${USER}`, sudoers, { mode: 0o440 });
  return machine;
}

/** The shell lines below a heading of README, without their comments. */
async function linesOf(heading: string): Promise<readonly string[]> {
  const readme = await Bun.file(join(import.meta.dir, '../../README.md')).text();
  const section = `\n${readme}\n## `.split(`\n${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const lines = [...section.matchAll(/^```sh\n([\s\S]*?)^```/gm)]
    .flatMap(([, block = '']) => block.split('\n'))
    .map((line) => line.replace(/\s+# .*$/, ''))
    .filter((line) => line !== '');
  if (lines.length === 0) {
    throw new Error(`README has no shell lines below "${heading}"`);
  }
  return lines;
}

/** Types a line; it must succeed. @returns what it printed, both streams */
async function type(machine: Machine, line: string): Promise<{ stdout: string; stderr: string }> {
  process.stderr.write(`    ${machine.name}$ ${line}\n`);
  const login = ['runuser', '--login', USER, `--whitelist-environment=${IGNORE_CHECKS}`];
  const argv = [...login, '--command', line];
  return await machine.exec(argv, { timeoutMs: LINE_TIMEOUT_MS });
}

const statusOf = async (machine: Machine) =>
  JSON.parse((await type(machine, 'sudo pipeops-agent status --json')).stdout);

test(
  'README as it is written makes a cluster of bare machines, and takes it away',
  async () => {
    await lab.collectOnFailure(join(tmpdir(), 'pipeops-agent-first-hour'), async () => {
      await progress.phase('without a token: standalone', standalone);
      await progress.phase('the one line: connected', connect);
      await progress.phase('a second machine', addMachine);
      await progress.phase('look after it', lookAfterIt);
    });
  },
  TEST_TIMEOUT_MS,
);

async function standalone(): Promise<void> {
  const [oneLine = ''] = await linesOf('# pipeops-agent');
  const { stdout, stderr } = await type(server, oneLine.replace(/ -s -- .*$/, ''));
  expect(stdout).toContain('none (standalone)');
  expect(stderr).toMatch(SIGNATURE);
  const { ready, session } = await statusOf(server);
  expect({ ready, phase: session.phase }).toEqual({ ready: true, phase: 'standalone' });
}

async function connect(): Promise<void> {
  const [oneLine = ''] = await linesOf('# pipeops-agent');
  await server.writeFile('/root/pipeops-token', `${TOKEN}\n`, { mode: 0o600 });
  const { stdout } = await type(server, oneLine);
  expect(stdout).toContain('https://api.pipeops.io');
  // What the summary says is so when it is said.
  const { ready, session, agent } = await statusOf(server);
  expect({ ready, phase: session.phase, cluster: agent.cluster_name }).toEqual({
    ready: true,
    phase: 'connected',
    cluster: 'production',
  });
  const known = await internet.controlPlane.waitFor(
    () => internet.controlPlane.store.agents()[0],
    REGISTER_TIMEOUT_MS,
  );
  expect({ id: known.id, errors: known.protocol_errors }).toEqual({ id: agent.id, errors: [] });
  for (const line of await linesOf('## Install')) {
    await type(server, line);
  }
}

async function addMachine(): Promise<void> {
  const [create = '', join = ''] = await linesOf('## Add a machine');
  const { stdout } = await type(server, create);
  expect(join).toContain('pj1.…');
  const [token = ''] = /pj1\.\S+/.exec(stdout) ?? [];
  const joined = await type(worker, join.replace('pj1.…', token));
  expect(joined.stderr).toMatch(SIGNATURE);
  const { stdout: nodes } = await type(server, 'sudo pipeops-agent cluster-info');
  expect(nodes).toContain(worker.name);
}

async function lookAfterIt(): Promise<void> {
  const lines = [
    ...(await linesOf('## Look after it')),
    ...(await linesOf('## What it can do to your machine')),
  ];
  const leave = 'sudo pipeops-agent leave';
  const uninstall = 'sudo pipeops-agent uninstall';
  for (const line of lines.filter((each) => each !== leave && each !== uninstall)) {
    await type(server, line);
  }
  expect(lines).toEqual(expect.arrayContaining([leave, uninstall]));
  for (const [machine, end] of [
    [worker, leave],
    [server, uninstall],
  ] as const) {
    await type(machine, `${end} --yes`);
    await waitUntil(`nothing is left on ${machine.name}`, LINE_TIMEOUT_MS, async () => {
      const { stdout } = await machine.exec(['sh', '-c', 'ls -d /opt/pipeops-agent || true']);
      return stdout === '';
    });
  }
}
