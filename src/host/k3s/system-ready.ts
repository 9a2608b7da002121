import { AgentError } from '../../core/errors.ts';
import { K3S_EXECUTABLE } from '../../core/k3s-places.ts';
import type { Places } from '../../core/places.ts';
import type { Clock, Exec, Files } from '../../core/ports.ts';
import { pollUntil } from '../../core/waiting.ts';
import { SystemObjectList } from '../../protocol/system-workloads.ts';
import { interrupted } from '../engine/interrupted.ts';
import { LEAVES_NOTHING, type Resource } from '../engine/resource.ts';
import { readKubernetesJson } from './kubectl.ts';
import {
  SYSTEM_NAMESPACE,
  systemParts,
  type UnreadyPart,
  unreadyParts,
} from './system-workloads.ts';

/** Of slow disks and networks; usually they are ready 30 s after the node, and that was a while ago. */
const READY_TIMEOUT_MS = 3 * 60_000;
/** kubectl takes processor time that the pods need. */
const POLL_INTERVAL_MS = 1_000;
/** How long images that cannot be fetched, and pods that no node takes, are waited for. */
const HOPELESS_FOR_MS = 20_000;
const KINDS = 'deployments,daemonsets,jobs,pods';

interface Deps {
  readonly clock: Clock;
  readonly exec: Exec;
  readonly files: Files;
  readonly places: Places;
}

/**
 * Waits until what k3s deploys of its own runs: a node without DNS is Ready, and of no use. Where nothing is
 * deployed this costs nothing. What only lacks its image, or a node that takes it, is told and stops nothing: the
 * registry may be away, and a taint may be meant.
 */
export function systemReady(
  deps: Deps,
  tell: (text: string) => void,
  signal: AbortSignal,
): Resource {
  const look = async (): Promise<readonly UnreadyPart[]> => {
    const parts = await systemParts(deps);
    return parts.length === 0 ? [] : unreadyParts(parts, await readObjects(deps));
  };
  return {
    id: 'system-ready',
    title: "Wait until k3s' own parts run",
    touches: [],
    ...LEAVES_NOTHING,
    isWanted: true,
    // A plan is made before k3s is there, and could say what it deploys.
    isDone: async () =>
      (await deps.files.stat(K3S_EXECUTABLE)) !== undefined && (await look()).length === 0,
    changes: async () => [],
    // What was told is no failure.
    verify: async () => true,
    apply: async (update) => {
      let hopelessAt: number | undefined;
      const pace = { everyMs: POLL_INTERVAL_MS, limitMs: READY_TIMEOUT_MS };
      const end = await pollUntil(deps.clock, pace, signal, async () => {
        const unready = await look();
        const now = deps.clock.monotonic();
        hopelessAt = unready.every(isHopeless) ? (hopelessAt ?? now) : undefined;
        const isOver = hopelessAt !== undefined && now - hopelessAt >= HOPELESS_FOR_MS;
        update(unready.map(({ name, because }) => `${name}: ${because}`).join('; '));
        return unready.length === 0 || isOver ? { found: unready } : { soFar: unready };
      });
      if (end.kind === 'aborted') {
        throw interrupted("while waiting for k3s' own parts");
      }
      const left = end.kind === 'found' ? end.found : end.soFar;
      const failed = left.filter((part) => !isHopeless(part));
      if (failed.length > 0) {
        throw notReady(failed);
      }
      tell(left.map(warning).join(''));
    },
  };
}

/** Nothing on this machine that is wrong, and nothing that waiting here mends. */
function isHopeless({ state }: UnreadyPart): boolean {
  return state === 'image' || state === 'place';
}

function warning({ name, state, because }: UnreadyPart): string {
  const next =
    state === 'image'
      ? 'It goes on by itself once the image can be fetched'
      : 'It goes on by itself once a node takes it';
  return `k3s' own "${name}" does not run yet: ${because}. ${next}: sudo k3s kubectl --namespace ${SYSTEM_NAMESPACE} get pods\n`;
}

function notReady(parts: readonly UnreadyPart[]): AgentError {
  const named = parts.map(({ name, because }) => `${name} (${because})`).join(', ');
  return new AgentError('SYSTEM_NOT_READY', `k3s runs, but not all of its own parts: ${named}`, {
    hint: `See why: sudo k3s kubectl --namespace ${SYSTEM_NAMESPACE} describe pods. Then run the same command again`,
    details: { parts },
  });
}

async function readObjects(deps: Deps) {
  const answer = await readKubernetesJson(deps, ['get', KINDS, `--namespace=${SYSTEM_NAMESPACE}`]);
  return SystemObjectList.parse(answer, { jitless: true });
}
