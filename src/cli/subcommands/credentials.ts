import { BUILD } from '../../core/version.ts';
import { pollUntil } from '../../core/waiting.ts';
import { defineSubcommand } from '../definition/subcommand.ts';

/** At boot, k3s may still be starting when the agent does. */
const RENEW_TIMEOUT_MS = 60_000;
const RETRY_INTERVAL_MS = 2_000;

/**
 * Run by the unit as root before the daemon. The daemon renews its Kubernetes token only while it
 * runs, and must not decide itself who its local token lets in.
 */
export const credentialsRenewSubcommand = defineSubcommand({
  name: 'credentials renew',
  description:
    "Makes the agent's local token anew, and its Kubernetes token when it is past half its life.",
  example: 'pipeops-agent credentials renew',
  flags: {},
  words: [],
  needsRoot: true,
  run: async (context) => {
    const { isKubeconfigFresh, writeKubeconfig } = await import('../../host/agent/kubeconfig.ts');
    const { KUBERNETES_ACCOUNT } = await import('../../machine/kubernetes-account.ts');
    const { K3S_SERVER_CA_FILE } = await import('../../core/k3s-places.ts');
    const { prepareRuntimeDirectory } = await import('../../host/agent/runtime-directory.ts');
    const { awaitClockAtBoot } = await import('../../machine/clock-set.ts');
    await awaitClockAtBoot(context, BUILD.committedAt);
    await prepareRuntimeDirectory(context);
    const isServer = (await context.files.stat(K3S_SERVER_CA_FILE)) !== undefined;
    if (!isServer || (await isKubeconfigFresh(context))) {
      return 0;
    }
    const pace = { everyMs: RETRY_INTERVAL_MS, limitMs: RENEW_TIMEOUT_MS };
    const end = await pollUntil(context.clock, pace, context.signal, () =>
      writeKubeconfig(context, KUBERNETES_ACCOUNT).then(
        () => ({ found: 0 }),
        (thrown: unknown) => ({ soFar: thrown }),
      ),
    );
    if (end.kind === 'found') {
      return end.found;
    }
    throw end.soFar;
  },
});
