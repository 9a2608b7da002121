/** k3s goes on with other data than it had, or with those again. */
import { AgentError, expectedError, toAgentError } from '../../core/errors.ts';
import {
  K3S_DATA_DIRECTORY,
  K3S_ETCD_DIRECTORY,
  K3S_SQLITE_FILE,
  K3S_UNITS,
} from '../../core/k3s-places.ts';
import type { Progress } from '../../core/ports.ts';
import { pollUntil } from '../../core/waiting.ts';
import { explainingLine } from '../../host/engine/explaining-line.ts';
import { interrupted } from '../../host/engine/interrupted.ts';
import { isEnabled, systemctl } from '../../host/engine/systemctl.ts';
import { hasFailed, unitWatch } from '../../host/engine/unit-watch.ts';
import { kubectl } from '../../host/k3s/kubectl.ts';
import type { MachineContext } from '../context.ts';
import { moveAside, replaceBy } from './data-of-now.ts';

export const SERVER_UNIT = K3S_UNITS.server;
/** A start with the data of another cluster makes certificates anew. */
const READY_TIMEOUT_MS = 600_000;
const POLL_INTERVAL_MS = 1_000;

export interface Exchange {
  /** The name of this machine's node. */
  readonly node: string;
  /** What goes aside. */
  readonly places: readonly string[];
  readonly keptIn: string;
  /** Puts the other data in place, while k3s does not run. */
  readonly put: () => Promise<void>;
  /** Takes away what `put` has left elsewhere; called in any case. */
  readonly tidy: () => Promise<void>;
}

/**
 * Stops k3s, moves its data aside, puts others in place, and waits until this machine is a Ready node again.
 * Where that fails, k3s goes on with what it had.
 * @throws AgentError K3S_NOT_READY, INTERRUPTED, what `put` throws; TOOL_FAILED, FILE_ACCESS
 */
export async function exchangeData(
  context: MachineContext,
  exchange: Exchange,
  update: Progress['update'],
): Promise<void> {
  update(`stopping ${SERVER_UNIT}`);
  const wasEnabled = await isEnabled(context, SERVER_UNIT);
  try {
    await systemctl(context, 'stop', SERVER_UNIT);
    await disableUnit(context);
    await moveAside(context, exchange.places, exchange.keptIn);
  } catch (thrown) {
    await goOnAsBefore(context, wasEnabled); // All of it is where it was.
    throw thrown;
  }
  try {
    await exchange.put();
    await start(context, exchange.node, update);
  } catch (thrown) {
    const state = (await goBack(context, exchange, wasEnabled))
      ? 'What was here before is back in place'
      : `There were no data here before, so k3s stays stopped; see ${K3S_DATA_DIRECTORY}/before-*`;
    const { code, message, hint } = toAgentError(thrown);
    throw new AgentError(code, `${message}. ${state}`, {
      hint: hint ?? `Look at: journalctl -u ${SERVER_UNIT}`,
      cause: thrown,
    });
  }
}

/** After a power cut it must not start without its data: it would make a new, empty cluster. */
async function disableUnit(context: MachineContext): Promise<void> {
  await systemctl(context, 'disable', '--quiet', SERVER_UNIT);
}

/** Also when a person has interrupted it: a server without its data is of no use. @returns as `goOnAsBefore` */
async function goBack(
  context: MachineContext,
  { places, keptIn, tidy }: Exchange,
  wasEnabled: boolean,
): Promise<boolean> {
  const uninterrupted = untilDone(context);
  await systemctl(uninterrupted, 'stop', SERVER_UNIT);
  await disableUnit(uninterrupted).catch(expectedError); // Going back matters more.
  await tidy();
  await replaceBy(context, places, keptIn);
  return await goOnAsBefore(context, wasEnabled);
}

/**
 * Starts k3s, but not without data after an exchange that was killed: they are aside still. Enabled before, it
 * had them, maybe in a database elsewhere.
 * @returns whether it is started
 */
async function goOnAsBefore(context: MachineContext, wasEnabled: boolean): Promise<boolean> {
  const stats = await Promise.all(
    [K3S_ETCD_DIRECTORY, K3S_SQLITE_FILE].map((path) => context.files.stat(path)),
  );
  const hasData = wasEnabled || stats.some((stat) => stat !== undefined);
  if (hasData) {
    await startUnit(untilDone(context));
  }
  return hasData;
}

/** The same, whatever a person has interrupted. */
function untilDone(context: MachineContext): MachineContext {
  return { ...context, signal: new AbortController().signal };
}

async function start(
  context: MachineContext,
  node: string,
  update: Progress['update'],
): Promise<void> {
  update(`starting ${SERVER_UNIT}`);
  const watch = unitWatch(context, SERVER_UNIT);
  await watch.begin();
  const since = context.clock.now();
  await startUnit(context);
  const pace = { everyMs: POLL_INTERVAL_MS, limitMs: READY_TIMEOUT_MS };
  let isForgotten = false;
  const end = await pollUntil(context.clock, pace, context.signal, async () => {
    // The cluster may know another password for a node of this name: that of the machine before.
    isForgotten ||= await forgetNodePassword(context, node);
    const heard = isForgotten ? await heardFrom(context, node) : undefined;
    if (heard !== undefined && heard >= since) {
      return { found: true };
    }
    const report = await watch.look();
    if (hasFailed(report)) {
      throw notReady(explainingLine(report));
    }
    update(report.lines.at(-1) ?? `starting ${SERVER_UNIT}`);
    return { soFar: report };
  });
  if (end.kind === 'found') {
    return;
  }
  throw end.kind === 'aborted'
    ? interrupted('while k3s started')
    : notReady(explainingLine(end.soFar));
}

async function startUnit(context: MachineContext): Promise<void> {
  await systemctl(context, 'enable', '--quiet', SERVER_UNIT);
  await systemctl(context, 'start', '--no-block', SERVER_UNIT);
}

function notReady(why: string): AgentError {
  return new AgentError('K3S_NOT_READY', `k3s did not start with the other data: ${why}`, {
    hint: `Look at: journalctl -u ${SERVER_UNIT}`,
  });
}

async function forgetNodePassword(context: MachineContext, node: string): Promise<boolean> {
  const secret = `${node}.node-password.k3s`;
  const argv = ['delete', 'secret', secret, '--namespace=kube-system', '--ignore-not-found'];
  return (await kubectl(context, argv)).exitCode === 0;
}

/** When the kubelet last told of itself, where the node is Ready. */
async function heardFrom(context: MachineContext, node: string): Promise<Date | undefined> {
  const ready = '{range .status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}{end}';
  const { stdout } = await kubectl(context, ['get', 'node', node, '-o', `jsonpath=${ready}`]);
  const [status, time = ''] = stdout.trim().split(' ');
  // Kubernetes tells whole seconds.
  return status === 'True' ? new Date(Date.parse(time) + 999) : undefined;
}
