import { AgentError } from '../../core/errors.ts';
import { isK3sVersion } from '../../core/k3s-version.ts';
import type { K3sUpgradePlan } from '../../machine/k3s-upgrade/plan.ts';
import type { K3sUpgradeResult } from '../../protocol/files/k3s-upgrade.ts';
import { DRY_RUN_FLAG, JSON_FLAG } from '../definition/common-flags.ts';
import { defineSubcommand } from '../definition/subcommand.ts';

const CHANNEL_PATTERN = /^(stable|latest|v\d{1,3}\.\d{1,3})$/;

export const upgradeK3sSubcommand = defineSubcommand({
  name: 'upgrade k3s',
  description:
    'Brings k3s to a newer version, one minor version at a time: makes a snapshot, moves the pods away, restarts k3s, and goes back by itself where that is safe.',
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
      dryRun: flags['dry-run'],
    });
    context.io.stdout(
      flags.json ? `${JSON.stringify(outcome.result ?? outcome.plan, null, 2)}\n` : textOf(outcome),
    );
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

/** They become part of addresses. */
function wantedVersion(to: string | undefined, channel: string) {
  if (to !== undefined && !isK3sVersion(to)) {
    throw new AgentError('USAGE', `--to "${to}" is no version of k3s`, {
      hint: 'Give it as it is written in its releases, for example v1.37.0+k3s1',
    });
  }
  if (!CHANNEL_PATTERN.test(channel)) {
    throw new AgentError('USAGE', `--channel "${channel}" is not possible`, {
      hint: 'Give stable, latest, or a minor version such as v1.37',
    });
  }
  return { to, channel };
}

interface Told {
  readonly plan: K3sUpgradePlan;
  readonly result: K3sUpgradeResult | undefined;
}

function textOf({ plan, result }: Told): string {
  const { from, to, node, steps } = plan;
  if (result !== undefined) {
    const seconds = Math.round(result.took_ms / 1_000);
    return `k3s ${to} runs on ${node} now, in place of ${from} (${seconds} s)\n`;
  }
  return steps.length === 0
    ? `k3s ${to} runs on ${node} already\n`
    : `On ${node}, from k3s ${from} to ${to}:\n${steps.map((step, index) => `  ${index + 1}. ${step}\n`).join('')}`;
}
