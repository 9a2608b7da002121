/** `snapshot restore`: this server gets the cluster of a snapshot, and keeps what it had. */
import { AgentError, expectedError, toAgentError } from '../../core/errors.ts';
import {
  K3S_DATA_DIRECTORY,
  K3S_DROP_IN_DIRECTORY,
  K3S_EXECUTABLE,
  K3S_SERVER_TOKEN_FILE,
  K3S_SQLITE_FILE,
  K3S_UNITS,
  k3sUnitFile,
} from '../../core/k3s-places.ts';
import { UNIT_NAME } from '../../core/places.ts';
import type { Progress } from '../../core/ports.ts';
import { pollUntil } from '../../core/waiting.ts';
import { writeKubeconfig } from '../../host/agent/kubeconfig.ts';
import { applyPermissions } from '../../host/agent/policy-file.ts';
import { explainingLine } from '../../host/engine/explaining-line.ts';
import { systemctl } from '../../host/engine/systemctl.ts';
import { hasFailed, unitWatch } from '../../host/engine/unit-watch.ts';
import { kubectl } from '../../host/k3s/kubectl.ts';
import { installedK3sVersion } from '../../host/k3s/program.ts';
import { readPolicyFile } from '../../policy/read-file.ts';
import type { SnapshotHeader } from '../../protocol/files/snapshot.ts';
import type { MachineContext } from '../context.ts';
import { KUBERNETES_ACCOUNT, permissionsManifest } from '../kubernetes-account.ts';
import { moveAside, moveBack, removeRestored } from './data-of-now.ts';
import { copyProblem } from './datastore.ts';
import { withSnapshotLock } from './lock.ts';
import { openSnapshot, readSnapshotHeader } from './sealed-file.ts';
import { whoseHere } from './whose.ts';

/** In the same file system as the data, so that they are put in place in one step. */
const WORK_DIRECTORY = `${K3S_DATA_DIRECTORY}/pipeops-restore`;
/** Read last, so that it decides; it goes when k3s has written the token down itself. */
const TOKEN_DROP_IN = `${K3S_DROP_IN_DIRECTORY}/99-pipeops-restore.yaml`;
const SERVER_UNIT = K3S_UNITS.server;
/** k3s makes etcd's data of the snapshot and ends by itself. */
const RESET_TIMEOUT_MS = 600_000;
/** A start with the data of another cluster makes certificates anew. */
const READY_TIMEOUT_MS = 600_000;
const POLL_INTERVAL_MS = 1_000;

export interface RestoreWishes {
  /** The file of the snapshot. */
  readonly path: string;
  readonly key: Uint8Array;
}

export interface RestorePlan {
  readonly snapshot: SnapshotHeader;
  /** Whether the snapshot is of the cluster that is here. */
  readonly isSameCluster: boolean;
  /** The name of this machine's node. */
  readonly node: string;
  /** Where what is here now is kept. */
  readonly kept_in: string;
  /** What would be done, in order, for people. */
  readonly steps: readonly string[];
}

/**
 * What a restore would do; changes nothing.
 * @throws AgentError NOT_A_SERVER, SNAPSHOT_INVALID, NOT_FOUND, HOST_UNSUPPORTED where k3s is too old
 */
export async function planRestore(
  context: MachineContext,
  { path, key }: RestoreWishes,
): Promise<RestorePlan> {
  if ((await context.files.stat(k3sUnitFile('server'))) === undefined) {
    throw new AgentError('NOT_A_SERVER', 'There is no k3s on this machine that could be a server', {
      hint: 'Set it up first: sudo pipeops-agent install. Then run the same again',
    });
  }
  const snapshot = await readSnapshotHeader(context, path);
  await openSnapshot(context, path, undefined, key);
  await refuseOlderK3s(context, snapshot);
  const time = context.clock.now().toISOString().slice(0, 19).replaceAll(/[-:]/g, '');
  const here = await whoseHere(context);
  const plan = {
    snapshot,
    isSameCluster: snapshot.cluster === here.cluster,
    node: here.node,
    kept_in: await unusedPath(context, `${K3S_DATA_DIRECTORY}/before-restore-${time}z`),
  };
  return { ...plan, steps: stepsOf(plan) };
}

/** A run that was killed may have left its directory a moment ago: what is in it must stay. */
async function unusedPath({ files }: MachineContext, path: string): Promise<string> {
  let unused = path;
  for (let number = 2; (await files.stat(unused)) !== undefined; number += 1) {
    unused = `${path}-${number}`;
  }
  return unused;
}

function stepsOf({ snapshot, kept_in }: Omit<RestorePlan, 'steps'>): readonly string[] {
  return [
    `Stop ${SERVER_UNIT}; pods run on meanwhile`,
    `Move the cluster's data, keys and tokens that are here to ${kept_in}`,
    snapshot.datastore === 'etcd'
      ? "Let k3s make etcd's data of the snapshot, with this server as the only member"
      : `Put the data of the snapshot at ${K3S_SQLITE_FILE}`,
    `Start ${SERVER_UNIT} with the token that belongs to the snapshot`,
    'Give the agent its account in the restored cluster, and restart it',
  ];
}

/** Older programs may misread newer data: Kubernetes has no way back (kubernetes.io, "Version Skew Policy"). */
async function refuseOlderK3s(context: MachineContext, { k3s }: SnapshotHeader): Promise<void> {
  const here = await installedK3sVersion(context);
  if (k3s !== null && here !== undefined && minorOf(here) < minorOf(k3s)) {
    throw new AgentError(
      'HOST_UNSUPPORTED',
      `The snapshot is of k3s ${k3s}, and the k3s here is older: ${here}`,
      { hint: `Install that version first: sudo pipeops-agent install --k3s-version ${k3s}` },
    );
  }
}

function minorOf(version: string): number {
  const [, major = '0', minor = '0'] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  return Number(major) * 1_000 + Number(minor);
}

/**
 * Carries the plan out. Where it fails, the machine gets back what it had.
 * @throws AgentError as `planRestore`; K3S_NOT_READY, TOOL_FAILED, BUSY, DISK_FULL, FILE_ACCESS
 */
export async function restoreSnapshot(
  context: MachineContext,
  wishes: RestoreWishes,
  plan: RestorePlan,
  update: Progress['update'],
): Promise<void> {
  await withSnapshotLock(context, 'snapshot restore', async () => {
    try {
      update('opening the snapshot');
      const token = await unpack(context, wishes);
      update(`stopping ${SERVER_UNIT}`);
      await systemctl(context, 'stop', SERVER_UNIT);
      // After a power cut it must not start without its data: it would make a new, empty cluster.
      await systemctl(context, 'disable', '--quiet', SERVER_UNIT);
      await moveAside(context, plan.kept_in);
      await orBack(context, plan, async () => {
        await put(context, plan, token, update);
        await start(context, plan, update);
      });
    } finally {
      await context.files.removeTree(WORK_DIRECTORY);
      await context.files.remove(TOKEN_DROP_IN);
    }
    update('giving the agent its account');
    await giveAccount(context);
  });
}

/** @returns the token that belongs to the data */
async function unpack(context: MachineContext, { path, key }: RestoreWishes): Promise<string> {
  const { files } = context;
  await files.removeTree(WORK_DIRECTORY);
  await files.claimDirectory(WORK_DIRECTORY, { mode: 0o700, owner: 'root:root' });
  const data = `${WORK_DIRECTORY}/data`;
  const { header, secrets } = await openSnapshot(context, path, data, key);
  const problem = await copyProblem(context, header.datastore, data, secrets.token);
  if (problem !== undefined) {
    throw new AgentError('SNAPSHOT_INVALID', `The data in the snapshot are broken: ${problem}`, {
      hint: 'Nothing was changed. Take another one: sudo pipeops-agent snapshot list',
    });
  }
  return secrets.token;
}

async function put(
  context: MachineContext,
  { snapshot }: RestorePlan,
  token: string,
  update: Progress['update'],
): Promise<void> {
  const { files } = context;
  // k3s reads it where it is told no other one, and where its configuration tells it another one.
  const ofRoot = { mode: 0o600, owner: 'root:root' };
  await files.writeAtomic(K3S_SERVER_TOKEN_FILE, `${token}\n`, ofRoot);
  await files.makeDirectory(K3S_DROP_IN_DIRECTORY, { mode: 0o755 });
  await files.writeAtomic(TOKEN_DROP_IN, `token: ${JSON.stringify(token)}\n`, ofRoot);
  const data = `${WORK_DIRECTORY}/data`;
  if (snapshot.datastore === 'sqlite') {
    await files.makeDirectory(K3S_SQLITE_FILE.slice(0, K3S_SQLITE_FILE.lastIndexOf('/')), {
      mode: 0o700,
    });
    await files.rename(data, K3S_SQLITE_FILE);
    return;
  }
  update("making etcd's data");
  const argv = ['server', '--cluster-reset', `--cluster-reset-restore-path=${data}`];
  const { exitCode, stderr } = await context.exec.run([K3S_EXECUTABLE, ...argv], {
    timeoutMs: RESET_TIMEOUT_MS,
    signal: context.signal,
  });
  if (exitCode !== 0) {
    throw new AgentError('TOOL_FAILED', `k3s could not restore it: ${lastLines(stderr)}`, {
      hint: 'See what the snapshot is of: sudo pipeops-agent snapshot list',
    });
  }
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-3).join(' ');
}

async function start(
  context: MachineContext,
  { node }: RestorePlan,
  update: Progress['update'],
): Promise<void> {
  update(`starting ${SERVER_UNIT}`);
  const watch = unitWatch(context, SERVER_UNIT);
  await watch.begin();
  const since = context.clock.now();
  await startNow(context);
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
    ? new AgentError('INTERRUPTED', 'Interrupted while k3s started')
    : notReady(explainingLine(end.soFar));
}

async function startNow(context: MachineContext): Promise<void> {
  await systemctl(context, 'enable', '--quiet', SERVER_UNIT);
  await systemctl(context, 'start', '--no-block', SERVER_UNIT);
}

function notReady(why: string): AgentError {
  return new AgentError(
    'K3S_NOT_READY',
    `k3s did not start with the data of the snapshot: ${why}`,
    {
      hint: `Look at: journalctl -u ${SERVER_UNIT}`,
    },
  );
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

async function orBack(
  context: MachineContext,
  { kept_in }: RestorePlan,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    const error = toAgentError(thrown);
    // Also when a person has interrupted it: a cluster without its data is of no use.
    const uninterrupted = { ...context, signal: new AbortController().signal };
    await systemctl(uninterrupted, 'stop', SERVER_UNIT);
    await context.files.remove(TOKEN_DROP_IN);
    await removeRestored(context);
    await moveBack(context, kept_in);
    await startNow(uninterrupted);
    throw new AgentError(error.code, `${error.message}. What was here before is back in place`, {
      hint: error.hint ?? `Look at: journalctl -u ${SERVER_UNIT}`,
      cause: thrown,
    });
  }
}

/** The snapshot may be of a time before the agent had one, and its tokens are signed by another key. */
async function giveAccount(context: MachineContext): Promise<void> {
  const { files, places } = context;
  if ((await files.stat(places.kubeconfigFile)) === undefined) {
    return; // A further server: its agent has none.
  }
  const policy = await readPolicyFile(context, places.policyFile);
  const pace = { everyMs: POLL_INTERVAL_MS, limitMs: READY_TIMEOUT_MS };
  const end = await pollUntil(context.clock, pace, context.signal, async () => {
    try {
      await applyPermissions(context, permissionsManifest(policy));
      await writeKubeconfig(context, KUBERNETES_ACCOUNT);
      return { found: true };
    } catch (thrown) {
      const error = expectedError(thrown);
      if (!error.retryable) {
        throw error;
      }
      return { soFar: error };
    }
  });
  if (end.kind !== 'found') {
    throw new AgentError(end.soFar.code, `The cluster is restored, but: ${end.soFar.message}`, {
      hint: 'Run once more: sudo pipeops-agent install',
    });
  }
  await systemctl(context, 'restart', UNIT_NAME);
}
