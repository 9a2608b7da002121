/**
 * What a worker tells the cluster of its own Node, with the credentials of its kubelet: Kubernetes
 * lets them change this one Node, and neither delete it nor touch another (kubernetes.io, "Using Node
 * Authorization").
 */
import { AgentError } from '../../core/errors.ts';
import { K3S_KUBELET_KUBECONFIG_FILE } from '../../core/k3s-places.ts';
import { KINDS, pathOfObject } from '../../core/kinds.ts';
import { JOIN_TOKEN_ANNOTATION, LEFT_ANNOTATION } from '../../core/labels.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec, ExecResult, Files } from '../../core/ports.ts';
import { pollUntil } from '../../core/waiting.ts';
import { LEAVES_NOTHING, type Resource } from '../engine/resource.ts';
import { stepState } from '../engine/step-journal.ts';
import { kubectl, kubectlCommand } from '../k3s/kubectl.ts';
import { kubectlTrouble } from '../k3s/kubectl-words.ts';

/** The kubelet answers a moment before the cluster has its Node. */
const NOTE_TIMEOUT_MS = 60_000;
const NOTE_INTERVAL_MS = 1_000;

const ID = 'join-note';

/** kubectl acts as the kubelet of this machine. */
const AS_NODE = `--kubeconfig=${K3S_KUBELET_KUBECONFIG_FILE}`;

interface Deps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/** @param server where to ask; undefined: where the kubelet asks, which only answers while k3s runs */
function kubectlAsNode(
  deps: Pick<Deps, 'exec' | 'places'>,
  args: readonly string[],
  server?: string,
): Promise<ExecResult> {
  const direct = server === undefined ? [] : [`--server=${server}`];
  return kubectl(deps, [AS_NODE, ...direct, ...args]);
}

/** Writes (`key=value`) or takes away (`key-`) annotations of this machine's Node. */
function annotateOwnNode(
  deps: Pick<Deps, 'exec' | 'places'>,
  node: string,
  annotations: readonly string[],
  server?: string,
): Promise<ExecResult> {
  return kubectlAsNode(deps, annotating(node, annotations), server);
}

function annotating(node: string, annotations: readonly string[]): readonly string[] {
  return ['annotate', 'node', node, '--overwrite', ...annotations];
}

/**
 * Tells the cluster on the Node of this machine which token it joined with, so that the server ends a
 * token that is used up, and that the machine has not left, whatever an earlier time has left there.
 * @param joined.tokenId no secret; undefined where k3s' own password was used
 */
export function joinNote(
  deps: Deps,
  joined: { readonly node: string; readonly tokenId: string | undefined },
  signal: AbortSignal,
): Resource {
  const { node, tokenId } = joined;
  const isDone = async () => {
    // What was never told needs no question: each takes a tenth of a second and more.
    const wasTold = (await stepState(deps, ID)) !== undefined;
    if (!wasTold || (await deps.files.stat(K3S_KUBELET_KUBECONFIG_FILE)) === undefined) {
      return false;
    }
    const words = ['get', 'node', node, '--output=jsonpath={.metadata.annotations}'];
    const { exitCode, stdout } = await kubectlAsNode(deps, words);
    const noted = exitCode === 0 ? annotationsIn(stdout) : undefined;
    return (
      noted !== undefined &&
      noted[LEFT_ANNOTATION] === undefined &&
      (tokenId === undefined || noted[JOIN_TOKEN_ANNOTATION] === tokenId)
    );
  };
  const annotations = [
    `${LEFT_ANNOTATION}-`, // The minus takes it away.
    ...(tokenId === undefined ? [] : [`${JOIN_TOKEN_ANNOTATION}=${tokenId}`]),
  ];
  return {
    id: ID,
    title: 'Tell the cluster how the node joined',
    touches: [pathOfObject(KINDS.node, { name: node })],
    ...LEAVES_NOTHING,
    isWanted: true,
    isDone,
    verify: async () => true, // kubectl ends well only once the cluster has taken it.
    apply: async (update) => {
      const pace = { everyMs: NOTE_INTERVAL_MS, limitMs: NOTE_TIMEOUT_MS };
      const end = await pollUntil(deps.clock, pace, signal, async () => {
        const { exitCode, stderr } = await annotateOwnNode(deps, node, annotations);
        update(stderr.trim());
        return exitCode === 0 ? { found: true } : { soFar: stderr.trim() };
      });
      if (end.kind === 'late') {
        const { text } = kubectlTrouble(end.soFar);
        throw new AgentError('KUBERNETES_API', `Cannot tell the cluster how it joined: ${text}`, {
          hint: 'Run the same command again; the node itself is ready',
        });
      }
    },
    changes: async () => [],
    commands: async () => [kubectlCommand([AS_NODE, ...annotating(node, annotations)])],
  };
}

function annotationsIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(text.trim() === '' ? '{}' : text);
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : undefined;
  } catch {
    return undefined;
  }
}
