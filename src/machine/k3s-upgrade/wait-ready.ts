/** Restarts k3s and sees whether the node comes back as the version that was put in its place. */
import type { V1Node } from '@kubernetes/client-node';
import { expectedError } from '../../core/errors.ts';
import { K3S_UNITS } from '../../core/k3s-places.ts';
import { pollUntil } from '../../core/waiting.ts';
import { explainingLine } from '../../host/engine/explaining-line.ts';
import { interrupted } from '../../host/engine/interrupted.ts';
import { forgetFailure, systemctl } from '../../host/engine/systemctl.ts';
import { hasFailed, unitWatch } from '../../host/engine/unit-watch.ts';
import type { MachineContext } from '../context.ts';
import { pathOfNode } from '../leave/client.ts';
import type { NodeHere } from './here.ts';

/** As long as an installation waits: a new k3s unpacks itself, and may change its data first. */
const READY_TIMEOUT_MS = 10 * 60_000;
const POLL_INTERVAL_MS = 1_000;
/** Kubernetes tells whole seconds. */
const TOLD_PRECISION_MS = 999;

/**
 * @param onUp as soon as k3s has told systemd that it is up: a server's API has answered by then
 * @returns why the node is not well; undefined where it is
 * @throws AgentError INTERRUPTED where the machine goes down meanwhile: nothing is known of the version then
 */
export async function restartInto(
  context: MachineContext,
  { role, node, client }: NodeHere,
  version: string,
  onUp: () => Promise<void>,
): Promise<string | undefined> {
  const { clock, signal } = context;
  const unit = K3S_UNITS[role];
  const watch = unitWatch(context, unit);
  // This waits until the old one has ended: what is seen from then on is of the new one.
  await systemctl(context, 'stop', unit);
  await forgetFailure(context, unit); // Else systemd starts one that it has given up only after a while.
  await watch.begin();
  const since = clock.now().getTime();
  await systemctl(context, 'start', '--no-block', unit);
  let isUp = false;
  const pace = { everyMs: POLL_INTERVAL_MS, limitMs: READY_TIMEOUT_MS };
  const end = await pollUntil(clock, pace, signal, async () => {
    const found = await client.find<V1Node>(pathOfNode(node), signal).catch(unanswered);
    if (found !== undefined && isBack(found, version, since)) {
      return { found: undefined };
    }
    const report = await watch.look();
    if (report.state === 'active' && !isUp) {
      isUp = true;
      await onUp();
    }
    const why = explainingLine(report);
    return hasFailed(report) ? { found: why } : { soFar: why };
  });
  if (end.kind === 'aborted' || signal.aborted) {
    throw interrupted(`while it was seen whether k3s ${version} is well`);
  }
  return end.kind === 'found'
    ? end.found
    : `not ready after ${READY_TIMEOUT_MS / 60_000} min: ${end.soFar}`;
}

/** Ready by the word of the kubelet that was started now. */
function isBack({ status }: V1Node, version: string, since: number): boolean {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const heard = Date.parse(String(ready?.lastHeartbeatTime ?? '')) + TOLD_PRECISION_MS;
  return status?.nodeInfo?.kubeletVersion === version && ready?.status === 'True' && heard >= since;
}

/** An API that restarts, or whose server does. */
function unanswered(thrown: unknown): undefined {
  expectedError(thrown);
}
