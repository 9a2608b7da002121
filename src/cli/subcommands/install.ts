import { resolve } from 'node:path';
import { AgentError } from '../../core/errors.ts';
import type { TokenSource } from '../../machine/install-server.ts';
import type { SetUpOptions } from '../../machine/set-up.ts';
import { POLICY_PRESETS } from '../../protocol/files/policy-presets.ts';
import { parseControlPlaneToken } from '../../protocol/secrets/control-plane-token.ts';
import type { FlagValues } from '../definition/arguments.ts';
import {
  BUNDLE_FLAG,
  DRY_RUN_FLAG,
  JSON_FLAG,
  OPEN_FIREWALL_FLAG,
  PROGRESS_FILE_FLAG,
  UNDO_FLAGS,
} from '../definition/common-flags.ts';
import type { CliContext } from '../definition/context.ts';
import { readTokenFile } from '../definition/given-secret.ts';
import { settingFlags } from '../definition/setting-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { progressFile } from '../terminal/progress-file.ts';
import { renderSetUpOutcome } from './set-up-outcome.ts';

/**
 * Longer than a token may be, so that the error can say what was given instead, not only that it is
 * too long.
 */
const TOKEN_FILE_LIMIT_BYTES = 64 * 1024;

/** Of `install`, by whatever name. */
export const INSTALL_FLAGS = {
  'token-file': {
    type: 'string',
    description: "File with the control plane's token; asked for when absent",
    valueHint: 'FILE',
  },
  bundle: BUNDLE_FLAG,
  ...settingFlags(),
  policy: {
    type: 'string',
    description: 'What the control plane may do here: see "policy presets" (default standard)',
    valueHint: 'PRESET',
    values: POLICY_PRESETS,
  },
  adopt: {
    type: 'boolean',
    default: false,
    description: 'Take over the k3s that is here already, as it is; it stays at "uninstall"',
  },
  'open-firewall': OPEN_FIREWALL_FLAG,
  ...UNDO_FLAGS,
  yes: { ...UNDO_FLAGS.yes, description: 'With --undo or --adopt: do not ask' },
  'progress-file': PROGRESS_FILE_FLAG,
  'dry-run': DRY_RUN_FLAG,
  json: JSON_FLAG,
} as const;

export const installSubcommand = defineSubcommand({
  name: 'install',
  description:
    'Makes this machine a Kubernetes server that its control plane can use. Safe to run again: it goes on where it ended.',
  example: 'sudo pipeops-agent install --token-file /root/token --cluster-name prod',
  flags: INSTALL_FLAGS,
  words: [],
  needsRoot: true,
  locks: true,
  run: (context, { flags }) => runInstall(context, flags),
});

/** @returns the exit code */
export async function runInstall(
  context: CliContext,
  flags: FlagValues<typeof INSTALL_FLAGS>,
): Promise<number> {
  if (flags.undo || (flags.yes && !flags.adopt)) {
    return (await import('./undo.ts')).runUndo(context, flags);
  }
  const file = progressFile(context, 'install', flags['progress-file']);
  return file.follow(() => setUp(context, flags, file.report));
}

async function setUp(
  context: CliContext,
  flags: FlagValues<typeof INSTALL_FLAGS>,
  report: SetUpOptions['report'],
): Promise<number> {
  const wishes = {
    report,
    flags,
    preset: flags.policy,
    token: controlPlaneToken(context, flags['token-file']),
    adopt: flags.adopt,
    yes: flags.yes,
    confirm: context.io.confirm,
    dryRun: flags['dry-run'],
    opensFirewall: flags['open-firewall'] ?? false,
    bundle: flags.bundle === undefined ? undefined : resolve(flags.bundle),
    notice: context.io.stderr,
  };
  const outcome = isWorkerWanted(context.env)
    ? await (await import('../../machine/join.ts')).joinWithK3sVariables(context, wishes)
    : await (await import('../../machine/install-server.ts')).installServer(context, wishes);
  const { columns } = context.io;
  context.io.stdout(renderSetUpOutcome(outcome, { json: flags.json, columns }));
  return 0;
}

function controlPlaneToken(context: CliContext, file: string | undefined): TokenSource {
  return {
    given: () => givenToken(context, file),
    ask: async () => {
      const answer = await context.io.askSecret('Token of the control plane (empty for none): ');
      return answer === undefined ? undefined : parseControlPlaneToken(answer);
    },
  };
}

/**
 * The token of a flag or a variable.
 * @throws AgentError USAGE, TOKEN_INVALID
 */
async function givenToken(
  context: CliContext,
  file: string | undefined,
): Promise<string | undefined> {
  if (file === undefined) {
    return parseControlPlaneToken(context.env['PIPEOPS_TOKEN'] ?? '');
  }
  const token = parseControlPlaneToken(await readTokenFile(context, file, TOKEN_FILE_LIMIT_BYTES));
  if (token === undefined) {
    throw new AgentError('USAGE', `There is no token in ${file}`, {
      hint: 'Write the token that the control plane gave you into that file, alone',
    });
  }
  return token;
}

/**
 * Whether k3s' own variables ask for a worker.
 * @throws AgentError USAGE where only half of them are set: a worker set up as a server would be a
 *   second cluster
 */
function isWorkerWanted(env: Readonly<Record<string, string | undefined>>): boolean {
  const type = env['NODE_TYPE'] ?? '';
  const hint =
    'To make this machine a worker: NODE_TYPE=agent K3S_URL=https://SERVER:6443 K3S_TOKEN=…, ' +
    'or "pipeops-agent join". To make it a server, set none of them';
  if (!['', 'agent', 'server'].includes(type)) {
    throw new AgentError('USAGE', 'NODE_TYPE is neither "agent" nor "server"', { hint });
  }
  const given = ['K3S_URL', 'K3S_TOKEN'].find((name) => (env[name] ?? '') !== '');
  if (type !== 'agent' && given !== undefined) {
    throw new AgentError('USAGE', `${given} is set, and NODE_TYPE is not "agent"`, { hint });
  }
  return type === 'agent';
}
