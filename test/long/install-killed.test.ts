/**
 * A machine whose `install`, `join` and `uninstall` are killed at each of their steps, one after
 * the other: the next run ends what was begun.
 */
import { expect, test } from 'bun:test';
import { AGENT, type Killed, killAt } from '../e2e/leave/killed.ts';
import {
  bootTwo,
  bringProgram,
  installByOneLine,
  installEnvironment,
  openStand,
  type Stand,
  TOKEN_FILE,
} from '../e2e/stand.ts';
import type { Machine } from '../vm/machine.ts';
import { compareStates, type MachineState } from '../vm/machine-state.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';

const TEST_TIMEOUT_MS = 6 * 60 * 60_000;
const RUN_TIMEOUT_MS = 300_000;
/** Where the comparison of machines does not look. */
const JOIN_TOKEN_FILE = '/run/join-token';
/** More than they tell. */
const LINES_MAX = 120;
/** Whoever adds or removes a user leaves the state before in these (passwd(5), "backup files"). */
const USER_BACKUPS = /\/etc\/g?(passwd|group|shadow)-$/;
const UNINSTALL = [AGENT, 'uninstall', '--yes', '--delete-data'] as const;
const UNDO = [AGENT, 'install', '--undo', '--yes'] as const;

const progress = reportProgress('install-killed');

interface Rig {
  readonly stand: Stand;
  readonly machine: Machine;
  readonly before: MachineState;
  /** Makes of the machine what it shall be. */
  readonly argv: readonly [string, ...string[]];
  /** Once more it is taken back first: a worker would keep the password that the cluster knows. */
  readonly isUndone: boolean;
  /** What must be there before, a join token for example. */
  readonly prepare: () => Promise<void>;
}

async function run({ stand, machine }: Rig, argv: readonly [string, ...string[]]) {
  const { exitCode, stdout } = await machine.exec([...argv, '--json'], {
    env: installEnvironment(stand),
    timeoutMs: RUN_TIMEOUT_MS,
    check: false,
  });
  return { exitCode, code: JSON.parse(stdout).error?.code };
}

/** Killed at its very end, the run before has left nothing to take back. */
async function isGone(rig: Rig, argv: readonly [string, ...string[]], at: string): Promise<void> {
  const ran = await run(rig, argv);
  const isOver = ran.exitCode === 0 || ran.code === 'NOT_INSTALLED';
  const differences = compareStates(rig.before, await rig.machine.snapshotState(), [USER_BACKUPS]);
  expect({ at, ran: isOver ? 'over' : ran, differences }).toEqual({
    at,
    ran: 'over',
    differences: [],
  });
}

const kill = ({ stand, machine }: Rig, argv: readonly string[], lines: number): Promise<Killed> =>
  killAt(machine, argv, lines, installEnvironment(stand));

/** @returns whether anything was killed before its end */
async function killedAt(rig: Rig, lines: number): Promise<boolean> {
  await rig.prepare();
  const begun = await kill(rig, rig.argv, lines);
  if (begun.killed && rig.isUndone) {
    // One that was in use already is uninstalled.
    const { code } = await run(rig, UNDO);
    await isGone(rig, code === 'CLUSTER_EXISTS' ? UNINSTALL : UNDO, `${begun.step}, taken back`);
    await kill(rig, rig.argv, lines);
  }
  expect({ at: begun.step, ...(await run(rig, rig.argv)) }).toEqual({
    at: begun.step,
    exitCode: 0,
    code: undefined,
  });
  const removed = await kill(rig, UNINSTALL, lines);
  await isGone(rig, UNINSTALL, `line ${lines} of the removal: ${removed.step}`);
  return begun.killed || removed.killed;
}

async function killedAtEach(rig: Rig, what: string): Promise<void> {
  let lines = 1;
  for (; lines < LINES_MAX; lines += 1) {
    if (!(await progress.phase(`${what} killed at line ${lines}`, () => killedAt(rig, lines)))) {
      break; // Neither had told a further line.
    }
  }
  expect(lines).toBeWithin(20, LINES_MAX);
}

test(
  'killed with SIGKILL at each step, the next run ends an installation, a join and their removal',
  async () => {
    await prepareTestMachines(progress);
    await using stand = await openStand('install-killed-long');
    const [server, worker] = await bootTwo(stand);
    await Promise.all([server, worker].map((machine) => stand.equip(machine)));
    await Promise.all([server, worker].map((machine) => bringProgram(machine, AGENT)));
    const installed = {
      ...{ stand, machine: server, before: await server.snapshotState() },
      argv: [AGENT, 'install', '--token-file', TOKEN_FILE] as const,
      isUndone: true,
      prepare: async () => undefined,
    };
    await killedAtEach(installed, 'install');
    await installByOneLine(stand, server, ['--token-file', TOKEN_FILE]);
    const joined = {
      ...{ stand, machine: worker, before: await worker.snapshotState() },
      argv: [AGENT, 'join', '--token-file', JOIN_TOKEN_FILE] as const,
      isUndone: false,
      prepare: async () => {
        // Of the try before: its name is free again.
        await server.exec(['k3s', 'kubectl', 'delete', 'node', 'worker', '--ignore-not-found']);
        const made = await server.exec([
          'pipeops-agent',
          'token',
          'create',
          '--uses',
          '0',
          '--json',
        ]);
        await worker.writeFile(JOIN_TOKEN_FILE, JSON.parse(made.stdout).token, { mode: 0o600 });
      },
    };
    await killedAtEach(joined, 'join');
  },
  TEST_TIMEOUT_MS,
);
