import { AgentError } from '../../core/errors.ts';
import { didYouMean } from '../../core/text/did-you-mean.ts';
import { type SubcommandEntry, type Subcommands, secondWordsOf } from '../definition/listed.ts';

/** Every subcommand, in the order of the help. A name may have two words: `token create`. */
export const SUBCOMMANDS: Subcommands = {
  install: {
    summary: 'Make this machine a Kubernetes server that the control plane can use',
    load: async () => (await import('./install.ts')).installSubcommand,
  },
  join: {
    summary: 'Make this machine a node of an existing cluster',
    load: async () => (await import('./join.ts')).joinSubcommand,
  },
  'prepare-image': {
    summary: 'Prepare this machine for an image, without an identity',
    load: async () => (await import('./prepare-image.ts')).prepareImageSubcommand,
  },
  'bundle create': {
    summary: 'Put all that an installation needs into one file, for machines without internet',
    load: async () => (await import('./bundle.ts')).bundleCreateSubcommand,
  },
  'bundle verify': {
    summary: 'Say whether such a file is whole',
    load: async () => (await import('./bundle.ts')).bundleVerifySubcommand,
  },
  'bundle install': {
    summary: 'Install from such a file: the same as install --bundle',
    load: async () => (await import('./bundle.ts')).bundleInstallSubcommand,
  },
  'token create': {
    summary: 'Make a token that lets another machine join',
    load: async () => (await import('./token.ts')).tokenCreateSubcommand,
  },
  'token list': {
    summary: 'List the join tokens of this cluster',
    load: async () => (await import('./token.ts')).tokenListSubcommand,
  },
  'token delete': {
    summary: 'End a join token before its time',
    load: async () => (await import('./token.ts')).tokenDeleteSubcommand,
  },
  'token revoke': {
    summary: 'The same as token delete',
    load: async () => (await import('./token.ts')).tokenRevokeSubcommand,
  },
  'canary reach': {
    summary: '',
    load: async () => (await import('./canary.ts')).canaryReachSubcommand,
  },
  'token serve': {
    summary: '',
    load: async () => (await import('./token.ts')).tokenServeSubcommand,
  },
  'ha enable': {
    summary: "Move a server's data to etcd, so that further servers can join",
    load: async () => (await import('./ha.ts')).haEnableSubcommand,
  },
  status: {
    summary: 'Show how the agent, its session and the cluster are',
    load: async () => (await import('./status.ts')).statusSubcommand,
  },
  dashboard: {
    summary: 'Print a link to the page that shows all this in a browser',
    load: async () => (await import('./dashboard.ts')).dashboardSubcommand,
  },
  'commands list': {
    summary: 'List what the control plane asked for, and how it ended',
    load: async () => (await import('./commands.ts')).commandsListSubcommand,
  },
  'commands show': {
    summary: 'Show one of these commands, with its progress or its result',
    load: async () => (await import('./commands.ts')).commandsShowSubcommand,
  },
  'commands cancel': {
    summary: 'Ask one of them to stop',
    load: async () => (await import('./commands.ts')).commandsCancelSubcommand,
  },
  doctor: {
    summary: 'Look for what is wrong with this machine, and what mends it',
    load: async () => (await import('./doctor.ts')).doctorSubcommand,
  },
  'support-bundle': {
    summary: 'Write one file with all that somebody needs to help, without secrets',
    load: async () => (await import('./support-bundle.ts')).supportBundleSubcommand,
  },
  'health-check': {
    summary: 'Say whether all is well, for a monitoring program',
    load: async () => (await import('./doctor.ts')).healthCheckSubcommand,
  },
  'cluster-info': {
    summary: 'Show addresses, versions, nodes and how to join',
    load: async () => (await import('./cluster-info.ts')).clusterInfoSubcommand,
  },
  kubeconfig: {
    summary: 'Print a kubeconfig, the administrator’s or one through the agent',
    load: async () => (await import('./kubeconfig.ts')).kubeconfigSubcommand,
  },
  'config show': {
    summary: 'Show every setting and where it came from',
    load: async () => (await import('./config.ts')).configShowSubcommand,
  },
  top: {
    summary: 'Show what nodes and pods use now',
    load: async () => (await import('./top.ts')).topSubcommand,
  },
  logs: {
    summary: 'Show the log of the agent, or of k3s',
    load: async () => (await import('./logs.ts')).logsSubcommand,
  },
  'log-level': {
    summary: 'Show how much the agent logs, or change it for a while',
    load: async () => (await import('./logs.ts')).logLevelSubcommand,
  },
  'config validate': {
    summary: 'Check the configuration and name every problem',
    load: async () => (await import('./config.ts')).configValidateSubcommand,
  },
  'policy show': {
    summary: 'Show what the control plane and the proxy may do here',
    load: async () => (await import('./policy.ts')).policyShowSubcommand,
  },
  'policy presets': {
    summary: 'Show what each preset allows',
    load: async () => (await import('./policy.ts')).policyPresetsSubcommand,
  },
  'policy apply': {
    summary: 'Change what they may do: a preset or a file of your own',
    load: async () => (await import('./policy.ts')).policyApplySubcommand,
  },
  'snapshot create': {
    summary: "Make a snapshot of the cluster's data",
    load: async () => (await import('./snapshot.ts')).snapshotCreateSubcommand,
  },
  'snapshot list': {
    summary: 'List the snapshots on this machine',
    load: async () => (await import('./snapshot.ts')).snapshotListSubcommand,
  },
  'snapshot check': {
    summary: 'Say whether a snapshot could be restored',
    load: async () => (await import('./snapshot.ts')).snapshotCheckSubcommand,
  },
  'snapshot fetch': {
    summary: 'Bring a copy of a snapshot back to this machine',
    load: async () => (await import('./snapshot.ts')).snapshotFetchSubcommand,
  },
  'snapshot restore': {
    summary: 'Give this server the cluster of a snapshot',
    load: async () => (await import('./snapshot-restore.ts')).snapshotRestoreSubcommand,
  },
  'snapshot rejoin': {
    summary: 'Make a further server take the data of the one that was restored',
    load: async () => (await import('./snapshot-restore.ts')).snapshotRejoinSubcommand,
  },
  'snapshot delete': {
    summary: 'Delete a snapshot',
    load: async () => (await import('./snapshot.ts')).snapshotDeleteSubcommand,
  },
  'snapshot key': {
    summary: 'Print the key that opens the snapshots of this machine',
    load: async () => (await import('./snapshot.ts')).snapshotKeySubcommand,
  },
  'snapshot run': {
    summary: '',
    load: async () => (await import('./snapshot.ts')).snapshotRunSubcommand,
  },
  upgrade: {
    summary: 'Bring the agent to a newer version, and go back by itself if that is not well',
    load: async () => (await import('./upgrade.ts')).upgradeSubcommand,
  },
  'upgrade k3s': {
    summary: 'Bring k3s to a newer version, one minor version at a time',
    load: async () => (await import('./upgrade-k3s.ts')).upgradeK3sSubcommand,
  },
  rollback: {
    summary: 'Go back to the version of the agent that was here before',
    load: async () => (await import('./upgrade.ts')).rollbackSubcommand,
  },
  leave: {
    summary: 'Move the pods of this machine away, leave the cluster, and uninstall',
    load: async () => (await import('./leave.ts')).leaveSubcommand,
  },
  uninstall: {
    summary: 'Remove what was installed here, and only that',
    load: async () => (await import('./uninstall.ts')).uninstallSubcommand,
  },
  completion: {
    summary: 'Print what a shell needs to complete this command line',
    load: async () => (await import('./completion.ts')).completionSubcommand(SUBCOMMANDS),
  },
  version: {
    summary: 'Print the version',
    load: async () => (await import('./version.ts')).versionSubcommand,
  },
  run: {
    summary: 'Run the daemon (the systemd unit does this)',
    load: async () => (await import('./run.ts')).runSubcommand,
  },
  'upgrade watch': {
    summary: '',
    load: async () => (await import('./upgrade-parts.ts')).upgradeWatchSubcommand,
  },
  'upgrade place-unit': {
    summary: '',
    load: async () => (await import('./upgrade-parts.ts')).upgradePlaceUnitSubcommand,
  },
  'upgrade after-package': {
    summary: '',
    load: async () => (await import('./upgrade-parts.ts')).upgradeAfterPackageSubcommand,
  },
  'upgrade self-test': {
    summary: '',
    load: async () => (await import('./upgrade-parts.ts')).upgradeSelfTestSubcommand,
  },
  'upgrade k3s-asked': {
    summary: '',
    load: async () => (await import('./upgrade-k3s.ts')).upgradeK3sAskedSubcommand,
  },
  'upgrade k3s-carry-out': {
    summary: '',
    load: async () => (await import('./upgrade-k3s.ts')).upgradeK3sCarryOutSubcommand,
  },
  'host asked': {
    summary: 'Show what the control plane asks for that needs your yes',
    load: async () => (await import('./host.ts')).hostAskedSubcommand,
  },
  'host approve': {
    summary: 'Say yes to it',
    load: async () => (await import('./host.ts')).hostApproveSubcommand,
  },
  'host refuse': {
    summary: 'Say no to it',
    load: async () => (await import('./host.ts')).hostRefuseSubcommand,
  },
  'helper serve': {
    summary: '',
    load: async () => (await import('./helper.ts')).helperServeSubcommand,
  },
  'credentials renew': {
    summary: '',
    load: async () => (await import('./credentials.ts')).credentialsRenewSubcommand,
  },
};

/** A longer word is not a mistyped name; it may be a secret, and is not repeated. */
const REPEATED_LENGTH_MAX = 20;

export interface FoundSubcommand {
  readonly entry: SubcommandEntry;
  /** The words after its name. */
  readonly rest: readonly string[];
}

/** @throws AgentError UNKNOWN_SUBCOMMAND with a suggestion; UNKNOWN_FLAG */
export function findSubcommand(words: readonly string[]): FoundSubcommand {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(' ');
    const entry = Object.hasOwn(SUBCOMMANDS, name) ? SUBCOMMANDS[name] : undefined;
    if (entry !== undefined) {
      return { entry, rest: words.slice(length) };
    }
  }
  const [first = '', second = ''] = words;
  if (first.startsWith('-')) {
    throw new AgentError('UNKNOWN_FLAG', 'Flags stand behind the subcommand', {
      hint: 'As in: pipeops-agent status --json. See: pipeops-agent --help',
    });
  }
  const seconds = secondWordsOf(SUBCOMMANDS, first);
  if (seconds.length > 0) {
    throw unknownSecond(first, second, seconds);
  }
  const firstWords = Object.entries(SUBCOMMANDS).flatMap(([name, { summary }]) =>
    summary === '' ? [] : [name.split(' ')[0] ?? name],
  );
  const suggestion = didYouMean(first, firstWords);
  const what =
    first.length > REPEATED_LENGTH_MAX
      ? 'The first word is no subcommand'
      : `There is no subcommand "${first}"`;
  throw new AgentError('UNKNOWN_SUBCOMMAND', what, {
    hint:
      suggestion === undefined
        ? 'See: pipeops-agent --help'
        : `Did you mean "${suggestion}"? See: pipeops-agent --help`,
  });
}

function unknownSecond(first: string, second: string, known: readonly string[]): AgentError {
  const suggestion = didYouMean(second, known);
  return new AgentError('UNKNOWN_SUBCOMMAND', `"${first}" needs one of: ${known.join(', ')}`, {
    hint:
      suggestion === undefined
        ? `For example: pipeops-agent ${first} ${known[0]}`
        : `Did you mean "${first} ${suggestion}"? See: pipeops-agent ${first} --help`,
  });
}
