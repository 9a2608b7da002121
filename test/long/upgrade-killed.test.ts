/**
 * An agent that the control plane has change its version, to a good one and to one that crashes, while the power of its
 * machine is cut, or what takes part is killed, at each step of the change.
 */
import { expect, test } from 'bun:test';
import { stat } from 'node:fs/promises';
import { UpgradeRecord } from '../../src/protocol/files/upgrade.ts';
import { installByOneLine, openStand, type Stand, TOKEN_FILE } from '../e2e/stand.ts';
import { HOST_STATE, runs, type VersionsRig, versionsRig } from '../e2e/upgrade/versions-rig.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';

const TEST_TIMEOUT_MS = 60 * 60_000;
const STEP_TIMEOUT_MS = 120_000;
/** Between two looks at the disk of the machine, which take no time of it. */
const LOOK_MS = 2;
const OLD = '0.0.1';
const BAD = '9.0.0';

/** Before the record: the daemon has fetched something, root has put it in its place. Then the record's own steps. */
type Step = 'fetched' | 'placed' | 'switch' | 'judge' | 'back';
const KILLED = ['the power', 'the watcher', 'the daemon'] as const;
const STEPS: Readonly<Record<'good' | 'bad', readonly Step[]>> = {
  good: ['fetched', 'placed', 'switch', 'judge'],
  bad: ['fetched', 'placed', 'switch', 'judge', 'back'],
};

const progress = reportProgress('upgrade-killed');

async function isAt(machine: Machine, step: Step, version: string): Promise<boolean> {
  const isThere = (path: string) =>
    stat(machine.pathOnHost(path)).then(
      () => true,
      () => false,
    );
  switch (step) {
    case 'fetched':
      return await isThere('/var/lib/pipeops-agent/staged-release');
    case 'placed':
      return await isThere(`/opt/pipeops-agent/${version}`);
    default: {
      const record = Bun.file(machine.pathOnHost(`${HOST_STATE}/upgrade.json`));
      return (await record.exists()) && UpgradeRecord.parse(await record.json()).step === step;
    }
  }
}

async function kill(machine: Machine, what: (typeof KILLED)[number]): Promise<void> {
  switch (what) {
    case 'the power':
      await machine.kill();
      await machine.start();
      return;
    case 'the watcher':
      // Before it begins there is none.
      await signalKill(machine, 'pipeops-agent-upgrade.service');
      return;
    case 'the daemon':
      await signalKill(machine, 'pipeops-agent.service');
  }
}

async function signalKill(machine: Machine, unit: string): Promise<void> {
  await machine.exec(['systemctl', 'kill', '--signal=KILL', unit], { check: false });
}

/** @returns what the command was answered with, and how often more than once */
async function changeKilled(
  { stand, machine, id }: { readonly stand: Stand; readonly machine: Machine; readonly id: string },
  version: string,
  step: Step,
  what: (typeof KILLED)[number],
) {
  const payload = { version, jitter_seconds: 0 };
  const commandId = await stand.command(id, 'upgrade_agent', payload);
  await waitUntil(
    `the change is at "${step}"`,
    STEP_TIMEOUT_MS,
    () => isAt(machine, step, version),
    LOOK_MS,
  );
  await kill(machine, what);
  const { result, extra_results } = await stand.finished(id, commandId);
  return { success: result?.success, code: result?.error_code, extra_results };
}

/** Back to the old version, and nothing there of the ones to change to. */
async function startOver(machine: Machine, rig: VersionsRig, good: string): Promise<void> {
  if ((await rig.running()).version !== OLD) {
    expect((await rig.agent('rollback', '--to', OLD)).exitCode).toBe(0);
    await rig.nothingLeft();
  }
  const versions = [good, BAD].map((version) => `/opt/pipeops-agent/${version}`);
  await machine.exec(['rm', '-rf', '/var/lib/pipeops-agent/staged-release', ...versions]);
}

test(
  'the good version runs afterwards, or the one before, and the command has one result',
  async () => {
    await prepareTestMachines(progress);
    await using stand = await openStand('upgrade-killed', { older: [OLD] });
    const { version: good } = stand.releases.release;
    const machine = await stand.lab.boot({ name: 'server', base: 'kubernetes', images: true });
    await stand.equip(machine);
    await installByOneLine(stand, machine, ['--token-file', TOKEN_FILE, '--cluster-name', 'up'], {
      env: { PIPEOPS_VERSION: OLD },
    });
    const rig = versionsRig(stand, machine);
    const { id } = await rig.running();
    await rig.publishBad(BAD, 'exit 1', OLD);
    for (const [kind, steps] of Object.entries(STEPS)) {
      const [version, ends] = kind === 'good' ? [good, good] : [BAD, OLD];
      for (const step of steps) {
        for (const what of KILLED) {
          const name = `${kind}: ${what} at "${step}"`;
          await startOver(machine, rig, good);
          const said = await progress.phase(name, () =>
            changeKilled({ stand, machine, id }, version, step, what),
          );
          await rig.settled();
          expect({ name, ...said, ...(await rig.running()) }).toEqual({
            name,
            ...(kind === 'good'
              ? { success: true, code: undefined }
              : { success: false, code: 'UPGRADE_FAILED' }),
            ...{ extra_results: 0, ...runs(ends, id) },
          });
        }
      }
    }
  },
  TEST_TIMEOUT_MS,
);
