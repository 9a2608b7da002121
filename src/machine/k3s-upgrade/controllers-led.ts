/**
 * Whether pods can move: one of several servers leads the controllers, which make a pod anew and take one that ends out of
 * its Services, and one the scheduler. When its k3s restarts the others take that over only when its Lease has ended,
 * after 15 s. A pod that is evicted meanwhile is asked until then, although it is gone.
 */
import type { V1Lease, V1LeaseSpec } from '@kubernetes/client-node';
import { AgentError, expectedError } from '../../core/errors.ts';
import { KINDS, pathOfObject } from '../../core/kinds.ts';
import { pollUntil } from '../../core/waiting.ts';
import { hasEtcd } from '../../host/cluster/etcd-members.ts';
import { interrupted } from '../../host/engine/interrupted.ts';
import type { KubernetesClient } from '../../kubernetes/api/client.ts';
import type { MachineContext } from '../context.ts';
import type { NodeHere } from './here.ts';

/** Leases by which the servers choose (kube-controller-manager and kube-scheduler, `--leader-elect`). */
const LEASES = ['kube-controller-manager', 'kube-scheduler'];
const LOOK_INTERVAL_MS = 1_000;
/** Twice the time between renewals: a new leader has read by then what is there. */
const STEADY_MS = 4_000;
/** Four times the time after which a Lease ends. */
const LIMIT_MS = 60_000;

/** On the wire its times are text; client-node's types say Date. */
interface WireLease extends Omit<V1Lease, 'spec'> {
  readonly spec?: Omit<V1LeaseSpec, 'renewTime'> & { readonly renewTime?: string };
}

/** The first look at a leader. Clocks of machines are never compared: only that it goes on renewing counts. */
interface Seen {
  readonly holder: string;
  readonly renewed: string;
  /** Monotonic ms. */
  readonly at: number;
}

/** @throws AgentError K3S_NOT_READY, INTERRUPTED */
export async function requireControllersLed(
  context: MachineContext,
  here: NodeHere,
): Promise<void> {
  const missing = await missingLeader(context, here);
  if (missing !== undefined) {
    throw new AgentError('K3S_NOT_READY', `No server leads ${missing}, so pods cannot move`, {
      hint: 'See why, on each server: journalctl -u k3s. The pods may run on: --no-drain',
    });
  }
}

/**
 * Waits until both are led. On a worker, and where one server has the data for itself, nobody is to be chosen.
 * @returns what nobody leads after a minute
 * @throws AgentError INTERRUPTED
 */
export async function missingLeader(
  context: MachineContext,
  { role, client }: NodeHere,
): Promise<string | undefined> {
  if (role === 'agent' || !(await hasEtcd(context))) {
    return undefined;
  }
  const seen = new Map<string, Seen>();
  const pace = { everyMs: LOOK_INTERVAL_MS, limitMs: LIMIT_MS };
  const end = await pollUntil(context.clock, pace, context.signal, async () => {
    const led = await Promise.all(LEASES.map((name) => isLed(context, client, name, seen)));
    const missing = LEASES.find((_, index) => led[index] !== true);
    return missing === undefined ? { found: undefined } : { soFar: missing };
  });
  if (end.kind === 'aborted') {
    throw interrupted('while it was seen whether pods can move');
  }
  return end.kind === 'found' ? undefined : end.soFar;
}

/** @param seen what earlier looks have found */
async function isLed(
  { clock, signal }: Pick<MachineContext, 'clock' | 'signal'>,
  client: Pick<KubernetesClient, 'find'>,
  name: string,
  seen: Map<string, Seen>,
): Promise<boolean> {
  const lease = await findLease(client, name, signal);
  if (lease === 'unknown') {
    return false;
  }
  if (lease === undefined) {
    return true; // Nobody was ever to be chosen.
  }
  const { holderIdentity: holder = '', renewTime: renewed = '' } = lease.spec ?? {};
  const first = seen.get(name);
  if (first?.holder !== holder) {
    seen.set(name, { holder, renewed, at: clock.monotonic() });
    return false;
  }
  return renewed !== first.renewed && clock.monotonic() - first.at >= STEADY_MS;
}

async function findLease(
  client: Pick<KubernetesClient, 'find'>,
  name: string,
  signal: AbortSignal,
): Promise<WireLease | 'unknown' | undefined> {
  try {
    const path = pathOfObject(KINDS.lease, { namespace: 'kube-system', name });
    return await client.find<WireLease>(path, signal);
  } catch (thrown) {
    expectedError(thrown);
    return 'unknown'; // An API that restarts, or whose server does.
  }
}
