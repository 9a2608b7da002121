/** `snapshot restore`: this server gets the cluster of a snapshot, and keeps what it had. */
import { AgentError, expectedError } from '../../core/errors.ts';
import {
  K3S_DATA_DIRECTORY,
  K3S_DROP_IN_DIRECTORY,
  K3S_EXECUTABLE,
  K3S_SERVER_TOKEN_FILE,
  K3S_SQLITE_FILE,
  k3sUnitFile,
} from '../../core/k3s-places.ts';
import { KINDS } from '../../core/kinds.ts';
import { UNIT_NAME } from '../../core/places.ts';
import type { Progress } from '../../core/ports.ts';
import { pollUntil } from '../../core/waiting.ts';
import { writeKubeconfig } from '../../host/agent/kubeconfig.ts';
import { applyPermissions } from '../../host/agent/policy-file.ts';
import { readClusterInfo } from '../../host/cluster/info.ts';
import { systemctl } from '../../host/engine/systemctl.ts';
import { removeUnfinished } from '../../host/engine/unfinished-files.ts';
import { kubectl } from '../../host/k3s/kubectl.ts';
import { kubectlTrouble } from '../../host/k3s/kubectl-words.ts';
import { installedK3sVersion } from '../../host/k3s/program.ts';
import { SESSION_LEASE, SESSION_SECRET } from '../../kubernetes/account/rbac.ts';
import { readPolicyFile } from '../../policy/read-file.ts';
import type { SnapshotHeader } from '../../protocol/files/snapshot.ts';
import type { MachineContext } from '../context.ts';
import { KUBERNETES_ACCOUNT, permissionsManifest } from '../kubernetes-account.ts';
import { placesOfCluster, unusedAside } from './data-of-now.ts';
import { copyProblem } from './datastore.ts';
import { exchangeData, SERVER_UNIT } from './exchange.ts';
import { withSnapshotLock } from './lock.ts';
import { requireRoom } from './room.ts';
import { openSnapshot } from './sealed-file.ts';
import { whoseHere } from './whose.ts';

/** In the same file system as the data, so that they are put in place in one step. */
const WORK_DIRECTORY = `${K3S_DATA_DIRECTORY}/pipeops-restore`;
/** Read last, so that it decides; it goes when k3s has written the token down itself. */
const TOKEN_DROP_IN = `${K3S_DROP_IN_DIRECTORY}/99-pipeops-restore.yaml`;
/** k3s makes etcd's data of the snapshot and ends by itself. */
const RESET_TIMEOUT_MS = 600_000;
/** Until the API of the restored cluster takes the agent's account. */
const ACCOUNT_TIMEOUT_MS = 120_000;
const POLL_INTERVAL_MS = 1_000;

export interface RestoreWishes {
  /** The file of the snapshot. */
  readonly path: string;
  readonly key: Uint8Array;
}

export interface RestorePlan {
  readonly snapshot: SnapshotHeader;
  /** Whether the snapshot is of the cluster that is here. */
  readonly same_cluster: boolean;
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
  const { header: snapshot } = await openSnapshot(context, path, undefined, key);
  await refuseOlderK3s(context, snapshot);
  await refuseBesideOthers(context);
  const here = await whoseHere(context);
  const plan = {
    snapshot,
    same_cluster: snapshot.cluster === here.cluster,
    node: here.node,
    kept_in: await unusedAside(context, 'before-restore'),
  };
  return { ...plan, steps: stepsOf(plan) };
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

/**
 * While most of the other servers run, they go on with their data: there would be two clusters that take
 * each other's workers. When they are stopped, or never were, the API does not tell of them.
 */
async function refuseBesideOthers(context: MachineContext): Promise<void> {
  const { node } = await whoseHere(context);
  const info = await readClusterInfo(context).catch(expectedError);
  const others =
    info instanceof AgentError
      ? []
      : info.nodes.filter((each) => each.role === 'server' && each.ready && each.name !== node);
  if (others.length > 0) {
    const names = others.map(({ name }) => name).join(', ');
    throw new AgentError('BUSY', `Other servers of this cluster run: ${names}`, {
      hint: 'Stop k3s on each: sudo systemctl stop k3s. Afterwards run there: sudo pipeops-agent snapshot rejoin',
    });
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
    const tidy = async () => {
      await context.files.removeTree(WORK_DIRECTORY);
      await context.files.remove(TOKEN_DROP_IN);
      await removeUnfinished(context, TOKEN_DROP_IN); // Of a run that was killed.
    };
    try {
      update('opening the snapshot');
      const token = await unpack(context, wishes, plan);
      const exchange = {
        node: plan.node,
        places: await placesOfCluster(context),
        keptIn: plan.kept_in,
        put: () => put(context, plan, token, update),
        tidy,
      };
      await exchangeData(context, exchange, update);
    } finally {
      await tidy();
    }
    update('giving the agent its account');
    await giveAccount(context);
  });
}

/** @returns the token that belongs to the data */
async function unpack(
  context: MachineContext,
  { path, key }: RestoreWishes,
  { snapshot }: RestorePlan,
): Promise<string> {
  const { files } = context;
  await files.removeTree(WORK_DIRECTORY);
  await files.claimDirectory(WORK_DIRECTORY, { mode: 0o700, owner: 'root:root' });
  await requireRoom(context, WORK_DIRECTORY, snapshot.size_bytes);
  const data = `${WORK_DIRECTORY}/data`;
  const { header, secrets } = await openSnapshot(context, path, data, key);
  if (header.salt !== snapshot.salt) {
    throw new AgentError('SNAPSHOT_INVALID', `${path} was exchanged since it was looked at`, {
      hint: 'Nothing was changed. Let nothing else write there, then run the same again',
    });
  }
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

/**
 * The snapshot says who had the session then, and with which token. That may be a machine that is gone, and no
 * other server takes it from an only one; and the token here may be a newer one, which is shared again.
 * @throws AgentError KUBERNETES_API
 */
async function freeSession(context: MachineContext): Promise<void> {
  await patchOwn(context, KINDS.secret, SESSION_SECRET, { data: null });
  await patchOwn(context, KINDS.lease, SESSION_LEASE, {
    spec: { holderIdentity: null, leaseDurationSeconds: null },
  });
}

async function patchOwn(
  context: MachineContext,
  { plural }: { readonly plural: string },
  name: string,
  patch: unknown,
): Promise<void> {
  const namespace = `--namespace=${KUBERNETES_ACCOUNT.namespace}`;
  const argv = ['patch', plural, name, namespace, '--type=merge'];
  const { exitCode, stderr } = await kubectl(context, [
    ...argv,
    `--patch=${JSON.stringify(patch)}`,
  ]);
  if (exitCode !== 0) {
    throw new AgentError(
      'KUBERNETES_API',
      `Cannot take the session from the server before: ${kubectlTrouble(stderr).text}`,
      { hint: 'Check that Kubernetes answers: k3s kubectl get nodes' },
    );
  }
}

/** The snapshot may be of a time before the agent had one, and its tokens are signed by another key. */
async function giveAccount(context: MachineContext): Promise<void> {
  const { files, places } = context;
  if ((await files.stat(places.kubeconfigFile)) === undefined) {
    return; // A further server: its agent has none.
  }
  const policy = await readPolicyFile(context, places.policyFile);
  const pace = { everyMs: POLL_INTERVAL_MS, limitMs: ACCOUNT_TIMEOUT_MS };
  const end = await pollUntil(context.clock, pace, context.signal, async () => {
    try {
      await applyPermissions(context, permissionsManifest(policy));
      await freeSession(context);
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
