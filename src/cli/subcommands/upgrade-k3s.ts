import { AgentError } from '../../core/errors.ts';
import { isK3sVersion } from '../../core/k3s-version.ts';
import type { K3sUpgradeOutcome } from '../../machine/k3s-upgrade/upgrade.ts';
import { K3sChannel } from '../../protocol/files/k3s-upgrade.ts';
import { DRY_RUN_FLAG, JSON_FLAG } from '../definition/common-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';
import { jsonDocument } from '../terminal/json-document.ts';

export const upgradeK3sSubcommand = defineSubcommand({
  name: 'upgrade k3s',
  description:
    'Brings k3s to a newer version, one minor version at a time; on a server all nodes of the cluster, one after the other. Makes a snapshot, moves the pods away, restarts k3s, and goes back by itself where that is safe.',
  example: 'sudo pipeops-agent upgrade k3s',
  flags: {
    to: {
      type: 'string',
      description: 'This version, such as v1.37.0+k3s1; that of the channel when absent',
      valueHint: 'VERSION',
    },
    channel: {
      type: 'string',
      default: 'stable',
      description: 'Whose version is meant: stable, latest, or of a minor version (v1.37)',
      valueHint: 'NAME',
    },
    drain: {
      type: 'boolean',
      description: 'Move the pods to other nodes first; else they run on while k3s restarts',
    },
    'this-node': {
      type: 'boolean',
      default: false,
      description: 'Only this machine, and not the other nodes of its cluster',
    },
    'dry-run': DRY_RUN_FLAG,
    json: JSON_FLAG,
  },
  words: [],
  needsRoot: true,
  locks: true,
  run: async (context, { flags }) => {
    const { upgradeK3s } = await import('../../machine/k3s-upgrade/upgrade.ts');
    const outcome = await upgradeK3s(context, {
      ...wantedVersion(flags.to, flags.channel),
      drain: flags.drain ?? true,
      isThisNodeOnly: flags['this-node'],
      dryRun: flags['dry-run'],
    });
    context.io.stdout(flags.json ? jsonDocument<'upgrade k3s'>(outcome) : textOf(outcome));
    return 0;
  },
});

/** Run by pipeops-agent-k3s-upgrade.service. */
export const upgradeK3sCarryOutSubcommand = defineSubcommand({
  name: 'upgrade k3s-carry-out',
  description: 'Carries out what the record of an upgrade of k3s says.',
  example: 'pipeops-agent upgrade k3s-carry-out',
  flags: {},
  words: [],
  needsRoot: true,
  run: async (context) => {
    const { carryOutK3sUpgrade } = await import('../../machine/k3s-upgrade/carry-out.ts');
    await carryOutK3sUpgrade(context, (line) => context.io.stdout(`${line}\n`));
    return 0;
  },
});

/** Run by pipeops-agent-k3s-asked.service. */
export const upgradeK3sAskedSubcommand = defineSubcommand({
  name: 'upgrade k3s-asked',
  description: 'Begins an upgrade of k3s that a server asks this node for.',
  example: 'pipeops-agent upgrade k3s-asked',
  flags: {},
  words: [],
  needsRoot: true,
  run: async (context) => {
    const { beginAskedK3sUpgrade } = await import('../../machine/k3s-upgrade/asked.ts');
    await beginAskedK3sUpgrade(context, (line) => context.io.stdout(`<5>${line}\n`));
    return 0;
  },
});

/** They become part of addresses. */
function wantedVersion(to: string | undefined, channel: string) {
  if (to !== undefined && !isK3sVersion(to)) {
    throw new AgentError('USAGE', `--to "${to}" is no version of k3s`, {
      hint: 'Give it as it is written in its releases, for example v1.37.0+k3s1',
    });
  }
  if (!K3sChannel.safeParse(channel).success) {
    throw new AgentError('USAGE', `--channel "${channel}" is not possible`, {
      hint: 'Give stable, latest, or a minor version such as v1.37',
    });
  }
  return { to, channel };
}

function textOf({ to, nodes, steps }: K3sUpgradeOutcome): string {
  if (nodes.length === 0) {
    return `k3s ${to} runs already\n`;
  }
  const lines = nodes.map(({ node, role, from, took_ms: tookMs }) =>
    tookMs === null
      ? `${node} (${role}): from k3s ${from} to ${to}`
      : `${node} (${role}): k3s ${to} in place of ${from} (${Math.round(tookMs / 1_000)} s)`,
  );
  const here = steps.map((step, index) => `  ${index + 1}. ${step}`);
  return [...lines, ...(here.length === 0 ? [] : ['On this machine:', ...here]), ''].join('\n');
}
