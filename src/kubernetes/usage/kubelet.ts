import { AgentError } from '../../core/errors.ts';
import type { Clock, Http } from '../../core/ports.ts';
import { inUrl } from '../../core/text/host-and-port.ts';
import { troubleOf } from '../../core/trouble.ts';
import { within } from '../../core/waiting.ts';
import type { ShortToken } from '../account/short-token.ts';
import type { KubernetesCredentials } from '../api/credentials.ts';
import type { NodeRow } from '../watch/cluster-status.ts';

const REQUEST_TIMEOUT_MS = 5_000;
/** Longest summary, bytes: about 1 KiB for each of at most a few hundred pods. */
const SUMMARY_LIMIT_BYTES = 4 * 1024 * 1024;

/** What a node uses now. */
export interface NodeUsage {
  readonly cores: number;
  /** Working set: what cannot be taken back without loss. */
  readonly bytes: number;
}

/** The part of the kubelet's Summary (k8s.io/kubelet/pkg/apis/stats/v1alpha1) that is used. */
interface Summary {
  readonly node?: {
    readonly cpu?: { readonly usageNanoCores?: number };
    readonly memory?: { readonly workingSetBytes?: number };
  };
}

export interface KubeletDeps {
  readonly clock: Clock;
  readonly http: Http;
  readonly credentials: KubernetesCredentials;
  readonly token: ShortToken;
}

/**
 * Asks the kubelet of a node what it uses (`get nodes/stats`), with a token that is good for
 * nothing else. The kubelet's certificate must come from the cluster's own CA and name the node's
 * address: k3s signs the certificates of kubelets with the CA of its API server, and the API server
 * itself trusts them in the same way.
 * @throws AgentError KUBERNETES_API with why it cannot be had
 */
export async function readKubeletUsage(
  deps: KubeletDeps,
  node: NodeRow,
  signal: AbortSignal,
): Promise<NodeUsage> {
  const { ca } = await deps.credentials.current();
  const token = await deps.token.current(signal);
  const host = inUrl(node.internalIp);
  const url = `https://${host}:${node.kubeletPort}/stats/summary?only_cpu_and_memory=true`;
  try {
    return await within(deps.clock, REQUEST_TIMEOUT_MS, signal, async (limited) => {
      const response = await deps.http(url, {
        headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
        tls: { ca },
        signal: limited,
        redirect: 'error',
      });
      if (!response.ok) {
        await response.body?.cancel();
        if (response.status === 401) {
          deps.token.forget();
        }
        throw new Error(`HTTP ${response.status}`);
      }
      return usageIn(await readSummary(response));
    });
  } catch (thrown) {
    const name = node.status.name;
    throw new AgentError('KUBERNETES_API', `Kubelet of node "${name}": ${troubleOf(thrown)}`, {
      hint: `Check that this machine reaches ${host}:${node.kubeletPort}, and look at k3s on that node`,
      cause: thrown,
    });
  }
}

async function readSummary(response: Response): Promise<Summary> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > SUMMARY_LIMIT_BYTES) {
      throw new Error('the summary is too long');
    }
    chunks.push(chunk);
  }
  // The kubelet has proven to be one of this cluster: it is trusted for the shape.
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as Summary;
}

function usageIn({ node }: Summary): NodeUsage {
  const nanoCores = node?.cpu?.usageNanoCores;
  const bytes = node?.memory?.workingSetBytes;
  if (typeof nanoCores !== 'number' || typeof bytes !== 'number') {
    throw new Error('it measures nothing yet');
  }
  return { cores: nanoCores / 1e9, bytes };
}
