import { AgentError } from '../../core/errors.ts';
import type { Files } from '../../core/ports.ts';
import {
  type KubeconfigContent,
  parseKubeconfig,
  tokenTimes,
} from '../../protocol/files/kubeconfig.ts';

export interface KubernetesCredentials {
  /** Read once, then kept and at hand at once. @throws AgentError KUBERNETES_API when there are none */
  current(): KubeconfigContent | Promise<KubeconfigContent>;
  /** Forgets what was read: the next `current` looks again. After a 401 or a renewal. */
  reload(): void;
}

export interface CredentialPaths {
  /** Written by root at installation, and again when the machine was off too long. */
  readonly kubeconfig: string;
  /** Written by the daemon when it renews its token. */
  readonly renewedToken: string;
}

/** Of root's token and the daemon's own, the one that lives longer is used. */
export function kubernetesCredentials(
  deps: { readonly files: Files },
  paths: CredentialPaths,
): KubernetesCredentials {
  let known: KubeconfigContent | undefined;
  const readAndKeep = async () => {
    known ??= await read(deps.files, paths);
    return known;
  };
  return {
    current: () => known ?? readAndKeep(),
    reload: () => {
      known = undefined;
    },
  };
}

async function read(files: Files, paths: CredentialPaths): Promise<KubeconfigContent> {
  const text = await files.readText(paths.kubeconfig);
  const kubeconfig = text === undefined ? undefined : parseKubeconfig(text);
  if (kubeconfig === undefined) {
    throw new AgentError('KUBERNETES_API', `Cannot use the kubeconfig ${paths.kubeconfig}`, {
      hint: 'Run as root: pipeops-agent install (it writes the file again)',
    });
  }
  const renewed = (await files.readText(paths.renewedToken))?.trim();
  if (renewed !== undefined && expiry(renewed) > expiry(kubeconfig.token)) {
    return { ...kubeconfig, token: renewed };
  }
  return kubeconfig;
}

function expiry(token: string): number {
  return tokenTimes(token)?.expiresAt ?? 0;
}
