import { AgentError } from '../../core/errors.ts';
import type { KubeconfigEntries } from '../../host/cluster/kubeconfig-merge.ts';
import type { CliContext } from '../definition/context.ts';
import { defineSubcommand } from '../definition/subcommand.ts';

export const kubeconfigSubcommand = defineSubcommand({
  name: 'kubeconfig',
  description:
    'Prints a kubeconfig for this cluster: the administrator’s own, which opens all of it, or with ' +
    '--local one that goes through the agent, within the local policy, on this machine.',
  example: 'sudo pipeops-agent kubeconfig --local --output ~/.kube/agent',
  flags: {
    local: {
      type: 'boolean',
      default: false,
      description: 'Through the agent and its policy; for root and the group pipeops-agent',
    },
    output: {
      type: 'string',
      description: 'Write this file, and its directory, instead of printing',
      valueHint: 'FILE',
    },
    merge: {
      type: 'boolean',
      default: false,
      description: 'Add it to ~/.kube/config, or to the file of --output; nothing else changes',
    },
    'set-current': {
      type: 'boolean',
      default: false,
      description: 'With --merge: make it what kubectl uses when it is told nothing',
    },
  },
  words: [],
  needsRoot: false,
  run: async (context, { flags }) => {
    const { kubeconfigOf, localEntries } = await import('../../host/cluster/kubeconfig.ts');
    checkFlags(flags);
    if (!flags.local && context.uid !== 0) {
      throw new AgentError('NOT_ROOT', "The administrator's kubeconfig is for root", {
        hint: 'Run it with sudo; or through the agent: pipeops-agent kubeconfig --local',
      });
    }
    if (flags.local) {
      const { askLocalAccess } = await import('../../machine/ask-daemon.ts');
      const { loadEffectiveConfig } = await import('../../machine/effective-config.ts');
      const access = await askLocalAccess(context);
      const { config } = await loadEffectiveConfig(context, {});
      const entries = await localEntries(context, access, config.http.tls_port);
      return deliver(context, flags, kubeconfigOf(entries), async () => entries);
    }
    const { clusterEntries, clusterKubeconfig } = await import('../../host/cluster/kubeconfig.ts');
    const text = await clusterKubeconfig(context);
    return deliver(context, flags, text, async () => {
      const { loadEffectiveConfig } = await import('../../machine/effective-config.ts');
      return clusterEntries(text, (await loadEffectiveConfig(context, {})).config.cluster.name);
    });
  },
});

interface Delivery {
  readonly output?: string;
  readonly merge: boolean;
  readonly 'set-current': boolean;
}

function checkFlags(flags: Delivery): void {
  if (flags['set-current'] && !flags.merge) {
    throw new AgentError('USAGE', '--set-current goes with --merge', {
      hint: 'See: pipeops-agent kubeconfig --help',
    });
  }
}

async function deliver(
  context: CliContext,
  flags: Delivery,
  text: string,
  entries: () => Promise<KubeconfigEntries>,
): Promise<number> {
  const { resolve } = await import('node:path');
  const { mergeIntoFile, writeKubeconfigFile } = await import(
    '../../host/cluster/kubeconfig-file.ts'
  );
  if (flags.merge) {
    const path = resolve(flags.output ?? (await usualFile(context)));
    const added = await entries();
    const merged = await mergeIntoFile(context, path, added, flags['set-current']);
    context.io.stderr(
      `Context "${added.name}" is in ${path}; the current one is "${merged.currentContext}"\n` +
        (merged.backup === undefined
          ? ''
          : `Its comments could not be kept: as it was, it stands in ${merged.backup}\n`) +
        `To use it: kubectl --context ${added.name} get pods -A\n`,
    );
  } else if (flags.output !== undefined) {
    const path = resolve(flags.output);
    await writeKubeconfigFile(context, path, text);
    context.io.stderr(`To use it: kubectl --kubeconfig ${path} get pods -A\n`);
  } else {
    context.io.stdout(text);
  }
  return 0;
}

/** Where kubectl looks for it, for the person who typed the command: under sudo, HOME is root's. */
async function usualFile({ env, files, uid }: CliContext): Promise<string> {
  const named = env['KUBECONFIG']?.split(':').find((part) => part !== '');
  if (named !== undefined) {
    return named;
  }
  const person = uid === 0 ? (env['SUDO_UID'] ?? '0') : String(uid);
  const passwd = (await files.readText('/etc/passwd')) ?? '';
  const fields = passwd.split('\n').map((line) => line.split(':'));
  const home = fields.find((each) => each[2] === person)?.[5] ?? env['HOME'] ?? '';
  if (!home.startsWith('/')) {
    throw new AgentError('USAGE', 'Cannot tell where your kubeconfig is', {
      hint: 'Name it: --output ~/.kube/config',
    });
  }
  return `${home}/.kube/config`;
}
