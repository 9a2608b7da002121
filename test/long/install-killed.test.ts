/**
 * Machines whose `install`, `join` and `uninstall` are killed in each of their steps, and `--undo` again
 * and again: the next run ends what was begun.
 */
import { expect, test } from 'bun:test';
import {
  AGENT,
  type Argv,
  type Killed,
  killAt,
  killInEachStep,
  ORPHANS,
} from '../e2e/leave/killed.ts';
import {
  bootTwo,
  bringProgram,
  installByOneLine,
  installEnvironment,
  openStand,
  runForDocument,
  type Stand,
  TOKEN_FILE,
} from '../e2e/stand.ts';
import { seededRandom } from '../support/seeded-random.ts';
import type { Machine } from '../vm/machine.ts';
import { compareStates, type MachineState, USER_BACKUPS } from '../vm/machine-state.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';

const TEST_TIMEOUT_MS = 2 * 60 * 60_000;
const RUN_TIMEOUT_MS = 300_000;
/** Where the comparison of machines does not look. */
const JOIN_TOKEN_FILE = '/run/join-token';
/** More than they have. */
const STEPS_MAX = 60;
/** What is killed for the first time hardly runs yet; then it is given twice as long each time. */
const UNDO_KILLED_AFTER_MS = 200;
/** Of the second round: as long as the longest part of most steps. */
const LATER_MS_MAX = 2_000;
/** A worker that is taken back keeps its password: the cluster knows it. */
const KEPT_PASSWORD = ['/etc/rancher/node/password', '/etc/rancher/node', '/etc/rancher'] as const;
const UNINSTALL = [AGENT, 'uninstall', '--yes', '--delete-data'] as const;
const UNDO = [AGENT, 'install', '--undo', '--yes'] as const;

const progress = reportProgress('install-killed');

interface Rig {
  readonly stand: Stand;
  readonly machine: Machine;
  readonly before: MachineState;
  /** Makes of the machine what it shall be. */
  readonly argv: Argv;
  /** What must be there before, a join token for example. */
  readonly prepare: () => Promise<void>;
}

async function run({ stand, machine }: Rig, argv: Argv) {
  const { exitCode, error } = await runForDocument(stand, machine, argv, RUN_TIMEOUT_MS);
  return { exitCode, code: error?.code };
}

/** Killed at its very end, the run before has left nothing to do. */
async function isGone(rig: Rig, argv: Argv, at: string): Promise<void> {
  const ran = await run(rig, argv);
  const isOver = ran.exitCode === 0 || ran.code === 'NOT_INSTALLED';
  await rig.machine.exec(['rm', '--force', KEPT_PASSWORD[0]]);
  await rig.machine.exec(['rmdir', ...KEPT_PASSWORD.slice(1)], { check: false });
  const after = await rig.machine.snapshotState();
  const differences = compareStates(rig.before, after, [USER_BACKUPS, ORPHANS]);
  expect({ at, ran: isOver ? 'over' : ran, differences }).toEqual({
    at,
    ran: 'over',
    differences: [],
  });
}

/** Killed again and again, later each time, until it comes to its end. */
async function killUndo({ machine }: Rig): Promise<void> {
  let isKilled = true;
  for (let ms = UNDO_KILLED_AFTER_MS; isKilled; ms *= 2) {
    const seconds = (ms / 1_000).toFixed(1);
    const argv = ['timeout', '--foreground', '--signal=KILL', seconds, ...UNDO, '--json'];
    const { exitCode } = await machine.exec(argv, { check: false, timeoutMs: RUN_TIMEOUT_MS });
    isKilled = exitCode === 137;
  }
}

async function killedAndTakenBack(rig: Rig, step: number): Promise<Killed> {
  await rig.prepare();
  const env = installEnvironment(rig.stand);
  const begun = await killAt(rig.machine, rig.argv, step, { env });
  if (begun.killed) {
    await killUndo(rig);
  }
  // One that was in use already is uninstalled.
  const { code } = await run(rig, UNDO);
  await isGone(rig, code === 'CLUSTER_EXISTS' ? UNINSTALL : UNDO, `${begun.step}, taken back`);
  return begun;
}

/** @param laterMs how long after its beginning a step is killed */
async function killedToItsEnd(rig: Rig, laterMs: () => number): Promise<void> {
  await rig.prepare();
  const env = installEnvironment(rig.stand);
  const begun = await killInEachStep(rig.machine, rig.argv, { env, laterMs });
  const ended = await run(rig, rig.argv);
  expect({ begun, ended }).toEqual({ begun, ended: { exitCode: 0, code: undefined } });
  const removed = await killInEachStep(rig.machine, UNINSTALL, { env, laterMs });
  await isGone(rig, UNINSTALL, 'the removal, killed in each step');
  process.stderr.write(`install-killed: ${begun.length} and ${removed.length} steps\n`);
}

async function killedInEach(rig: Rig, what: string, laterMs: () => number): Promise<void> {
  await progress.phase(`${what} and removal, killed in each step`, () =>
    killedToItsEnd(rig, () => 0),
  );
  await progress.phase(`${what} and removal, killed at random in steps`, () =>
    killedToItsEnd(rig, laterMs),
  );
  let step = 1;
  for (; step < STEPS_MAX; step += 1) {
    const { killed } = await progress.phase(`${what} killed in step ${step}, and taken back`, () =>
      killedAndTakenBack(rig, step),
    );
    if (!killed) {
      break; // It has no further one.
    }
  }
  expect(step).toBeWithin(10, STEPS_MAX);
}

/** When a step is killed in the second round. */
function drawnDelays(): () => number {
  const seed = Number(process.env['PIPEOPS_KILL_SEED'] ?? Date.now());
  process.stderr.write(`install-killed: PIPEOPS_KILL_SEED=${seed}\n`);
  const random = seededRandom(seed);
  return () => random.fraction() * LATER_MS_MAX;
}

test(
  'killed with SIGKILL in each step, the next run ends an installation and its removal',
  async () => {
    await prepareTestMachines(progress);
    await using stand = await openStand('install-killed');
    const server = await stand.lab.boot({ name: 'server', base: 'kubernetes', images: true });
    await stand.equip(server);
    await bringProgram(server, AGENT);
    const rig = {
      ...{ stand, machine: server, before: await server.snapshotState() },
      argv: [AGENT, 'install', '--token-file', TOKEN_FILE] as const,
      prepare: async () => undefined,
    };
    await killedInEach(rig, 'install', drawnDelays());
  },
  TEST_TIMEOUT_MS,
);

test(
  'killed with SIGKILL in each step, the next run ends a join and its removal',
  async () => {
    await prepareTestMachines(progress);
    await using stand = await openStand('join-killed');
    const [server, worker] = await bootTwo(stand);
    await Promise.all([server, worker].map((machine) => stand.equip(machine)));
    await bringProgram(worker, AGENT);
    await installByOneLine(stand, server, ['--token-file', TOKEN_FILE]);
    const rig = {
      ...{ stand, machine: worker, before: await worker.snapshotState() },
      argv: [AGENT, 'join', '--token-file', JOIN_TOKEN_FILE] as const,
      prepare: async () => {
        // Of the try before: its name is free again.
        await server.exec(['k3s', 'kubectl', 'delete', 'node', 'worker', '--ignore-not-found']);
        const create = ['pipeops-agent', 'token', 'create', '--uses', '0', '--json'];
        const { stdout } = await server.exec(create);
        await worker.writeFile(JOIN_TOKEN_FILE, JSON.parse(stdout).token, { mode: 0o600 });
      },
    };
    await killedInEach(rig, 'join', drawnDelays());
  },
  TEST_TIMEOUT_MS,
);
