/** What a support bundle has in it. Each part is a question to this machine; none changes anything. */
import { expectedError } from '../../core/errors.ts';
import {
  K3S_CONFIG_FILE,
  K3S_EXECUTABLE,
  K3S_MAIN_CONFIG_FILE,
  K3S_UNITS,
} from '../../core/k3s-places.ts';
import { UNIT_NAME } from '../../core/places.ts';
import { VERSION_LINE } from '../../core/version.ts';
import type { Check } from '../../host/checks/check.ts';
import { installedK3sVersion } from '../../host/k3s/program.ts';
import { askDaemon, askHealth, askRoute } from '../ask-daemon.ts';
import type { MachineContext } from '../context.ts';
import { diagnose } from '../doctor.ts';
import { loadEffectiveConfig } from '../effective-config.ts';
import { settingRows } from '../settings-in-force.ts';

/** A program that says more is read to its end, and cut. */
const PROGRAM_TIMEOUT_MS = 15_000;
/** Lines that journalctl is asked for. Long ones are too much for one program: then fewer. */
const JOURNAL_LINES: readonly number[] = [20_000, 2_000, 200];

/** The newest. */
const COMMANDS = 200;
const SMALL_BYTES = 256 * 1024;
const JOURNAL_BYTES = 4 * 1024 * 1024;

/** How the machine is asked. */
export interface BundleWishes {
  /** The checks whose results go in. */
  readonly checks: (check: Check) => boolean;
  /** Reads a small file of the daemon's. @returns '' where there is none */
  readonly readOfDaemon: (context: MachineContext, path: string) => Promise<string>;
}

export interface Part {
  /** Of the file in the bundle. */
  readonly name: string;
  /** For a person, one line. */
  readonly what: string;
  /** A longer text is cut: a journal at its beginning, others at their end. */
  readonly limitBytes: number;
  /** @returns undefined where there is none. @throws AgentError when it cannot be had: the bundle says so */
  readonly read: (
    context: MachineContext,
    wishes: Pick<BundleWishes, 'checks'>,
  ) => Promise<string | undefined>;
}

export const PARTS: readonly Part[] = [
  small('versions.txt', 'the versions of agent, k3s, kernel and distribution', async (context) =>
    joined([
      VERSION_LINE,
      `k3s ${(await installedK3sVersion(context)) ?? 'is not installed'}`,
      await output(context, ['uname', '-a']),
      await file(context, '/etc/os-release'),
    ]),
  ),
  small('doctor.json', 'what doctor says of this machine', async (context, { checks }) =>
    json(await diagnose(context, { flags: {} }, checks)),
  ),
  small('status.json', 'what the agent says of itself', async (context) =>
    json(await askDaemon(context, 0)),
  ),
  small(
    'health.json',
    'what is wrong, and what was, since the start of the agent',
    async (context) => json(await askHealth(context)),
  ),
  small('commands.json', 'the last remote commands, without what was in them', async (context) =>
    json(await askRoute(context, 'GET /api/commands', { limit: COMMANDS }, 0)),
  ),
  small('settings.json', 'the settings, and where each comes from', async (context) =>
    json(await settingRows(context, {}, await loadEffectiveConfig(context, {}))),
  ),
  small('policy.yaml', 'what the control plane may do here', (context) =>
    file(context, context.places.policyFile),
  ),
  small('k3s-config.yaml', 'the settings of k3s', async (context) =>
    joined([await file(context, K3S_MAIN_CONFIG_FILE), await file(context, K3S_CONFIG_FILE)]),
  ),
  small('inventory.json', 'what the agent has put on this machine', (context) =>
    file(context, context.places.inventoryFile),
  ),
  small('steps.json', 'the steps of installations', (context) =>
    file(context, context.places.stepsFile),
  ),
  small('helper.jsonl', "what root's helper did", (context) =>
    file(context, context.places.helperJournalFile),
  ),
  small('helper-other.jsonl', "what root's helper was only asked", (context) =>
    file(context, context.places.helperOtherFile),
  ),
  program('units.txt', 'the state of the units', [
    'systemctl',
    ...['status', '--no-pager', '--full', '--lines=0', UNIT_NAME, ...Object.values(K3S_UNITS)],
  ]),
  cluster('nodes.txt', 'the nodes', ['nodes', '--output=wide']),
  cluster('pods.txt', 'the names and states of pods', ['pods', '-A', '--output=wide']),
  cluster('events.txt', 'the events of the cluster', [
    'events',
    ...['-A', '--sort-by=.lastTimestamp'],
  ]),
  program('addresses.txt', 'the addresses of this machine', ['ip', '-brief', 'address']),
  program('routes.txt', 'its routes', ['ip', 'route', 'show', 'table', 'all']),
  program('ports.txt', 'who listens', ['ss', '--listening', '--numeric', '--tcp', '--udp', '-p']),
  program('disks.txt', 'its disks', ['df', '--portability']),
  program('memory.txt', 'its memory', ['free', '--mebi']),
  program('kernel.txt', 'the warnings of the kernel', [
    'dmesg',
    '--level=emerg,alert,crit,err,warn',
  ]),
  journal('agent.log', 'the journal of the agent', [UNIT_NAME]),
  journal('k3s.log', 'the journal of k3s', Object.values(K3S_UNITS)),
];

function small(name: string, what: string, read: Part['read']): Part {
  return { name, what, limitBytes: SMALL_BYTES, read };
}

function program(name: string, what: string, argv: Argv): Part {
  return small(name, what, (context) => output(context, argv));
}

function cluster(name: string, what: string, wanted: readonly string[]): Part {
  return small(name, what, (context) => {
    // Not below the home of root, where it would stay.
    const how = [`--cache-dir=${context.places.kubectlCacheDirectory}`, '--request-timeout=10s'];
    return output(context, [K3S_EXECUTABLE, 'kubectl', ...how, 'get', ...wanted]);
  });
}

function journal(name: string, what: string, units: readonly string[]): Part {
  const which = units.map((unit) => `--unit=${unit}`);
  const read: Part['read'] = async (context) => {
    let trouble: unknown;
    for (const lines of JOURNAL_LINES) {
      try {
        const how = ['--no-pager', '--output=short-iso', `--lines=${lines}`];
        return await output(context, ['journalctl', ...which, ...how]);
      } catch (thrown) {
        expectedError(thrown);
        trouble = thrown;
      }
    }
    throw trouble;
  };
  return { name, what, limitBytes: JOURNAL_BYTES, read };
}

type Argv = readonly [string, ...string[]];

/** What it says, with its complaints: they are why one wants to see it. */
async function output({ exec, signal }: MachineContext, argv: Argv): Promise<string> {
  const { stdout, stderr } = await exec.run(argv, { timeoutMs: PROGRAM_TIMEOUT_MS, signal });
  return joined([stdout, stderr]);
}

function file({ files }: MachineContext, path: string): Promise<string | undefined> {
  return files.readStart(path, SMALL_BYTES);
}

/** Of a part of several pieces. */
function joined(texts: readonly (string | undefined)[]): string {
  const said = texts.filter((text) => text !== undefined && text !== '');
  return said.map((text) => `${text?.trimEnd()}\n`).join('');
}

function json(value: unknown): string | undefined {
  return value === undefined ? undefined : `${JSON.stringify(value, null, 2)}\n`;
}
