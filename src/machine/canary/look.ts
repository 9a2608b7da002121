/** Runs the canary, and gathers what it meets. */
import { nodeNameOf } from '../../config/node-settings.ts';
import type { Config } from '../../config/schema.ts';
import { AgentError } from '../../core/errors.ts';
import { K3S_EXECUTABLE, K3S_SERVER_CA_FILE } from '../../core/k3s-places.ts';
import { kubectl, readKubernetesJson } from '../../host/k3s/kubectl.ts';
import {
  type CanaryPod,
  CanaryReached,
  CanaryService,
  type CanaryTargets,
} from '../../protocol/canary.ts';
import { NodeList } from '../../protocol/kubectl.ts';
import type { MachineContext } from '../context.ts';
import { isRunning, withCanaryPods } from './pods.ts';
import { reachTargets } from './reach.ts';

/** Further nodes are not tried: each is one pod. */
const NODES_MAX = 16;
/** Nothing listens there (RFC 863, which nobody uses). */
const CLOSED_PORT = 9;
const CTR_TIMEOUT_MS = 5_000;
/** Longer than all targets together, which are tried at once. */
const INSIDE_TIMEOUT_MS = 10_000;
export const API_TARGET = 'the API (Service kubernetes)';

export interface CanarySeen {
  /** Of this machine. */
  readonly node: string;
  /** Nodes whose pod does not run, and why. */
  readonly notRunning: readonly { readonly node: string; readonly why: string }[];
  /** Nodes that are not Ready: nothing was started there. */
  readonly notReady: readonly string[];
  /** What SELinux or AppArmor says of the container here: `cri-containerd.apparmor.d (enforce)`; undefined where neither is on. */
  readonly confinedBy: string | undefined;
  /** Pods on other nodes, the API and DNS, tried from the pod here; undefined where that does not run. */
  readonly fromPod: CanaryReached | undefined;
  /** The same pods from the machine itself. */
  readonly fromHost: CanaryReached;
  readonly hasDns: boolean;
  /** UDP packets with a wrong checksum that came meanwhile (/proc/net/snmp, InCsumErrors). */
  readonly wrongChecksums: number;
}

/** @throws AgentError NOT_ROOT, NOT_A_SERVER, KUBERNETES_API, TOOL_FAILED, TOOL_MISSING, INTERRUPTED */
export async function lookWithCanary(context: MachineContext, config: Config): Promise<CanarySeen> {
  if (context.uid !== 0) {
    throw new AgentError('NOT_ROOT', 'The canary needs root', {
      hint: 'sudo pipeops-agent doctor --canary',
    });
  }
  if ((await context.files.stat(K3S_SERVER_CA_FILE)) === undefined) {
    throw new AgentError('NOT_A_SERVER', 'The canary starts pods, which only a server can', {
      hint: 'Run it on a server: it looks at all nodes from there',
    });
  }
  const node = nodeNameOf(context.hostname, config.k3s.node_name);
  const { ready, notReady } = await nodesOf(context, node);
  const services = await clusterAddresses(context);
  return withCanaryPods(context, ready, async (pods) => {
    const running = pods.filter(isRunning);
    const own = running.find(({ spec }) => spec.nodeName === node);
    const others = running.flatMap(({ spec, status }) =>
      spec.nodeName === node || status.podIP === undefined
        ? []
        : [{ name: spec.nodeName, address: status.podIP, port: CLOSED_PORT }],
    );
    const api = { name: API_TARGET, address: services.api, port: 443 };
    const dns =
      services.dns === undefined
        ? null
        : { server: services.dns, name: 'kubernetes.default.svc.cluster.local' };
    const before = await checksumErrors(context);
    const pid = own === undefined ? undefined : await processOf(context, own);
    const [fromPod, fromHost, confinedBy] = await Promise.all([
      pid === undefined ? undefined : reachInside(context, pid, { tcp: [...others, api], dns }),
      context
        .probe()
        .then((probe) =>
          reachTargets({ probe, signal: context.signal }, { tcp: others, dns: null }),
        ),
      pid === undefined ? undefined : confinement(context, pid),
    ]);
    return {
      node,
      notRunning: pods.filter((pod) => !isRunning(pod)).map(whyNot),
      notReady,
      confinedBy,
      fromPod,
      fromHost,
      hasDns: dns !== null,
      wrongChecksums: (await checksumErrors(context)) - before,
    };
  });
}

/** This one first. */
async function nodesOf(context: MachineContext, own: string) {
  const { items } = NodeList.parse(await readKubernetesJson(context, ['get', 'nodes']), {
    jitless: true,
  });
  const isReady = ({ status }: (typeof items)[number]) =>
    status.conditions.some(({ type, status: is }) => type === 'Ready' && is === 'True');
  const names = (ready: boolean) =>
    items
      .filter((item) => isReady(item) === ready)
      .map(({ metadata }) => metadata.name)
      .sort((a, b) => Number(b === own) - Number(a === own));
  return { ready: names(true).slice(0, NODES_MAX), notReady: names(false) };
}

async function clusterAddresses(context: MachineContext) {
  const ask = ['get', 'service', '--output=json'];
  const api = await readKubernetesJson(context, [
    'get',
    'service',
    'kubernetes',
    '--namespace=default',
  ]);
  const dns = await kubectl(context, [
    ...ask,
    'kube-dns',
    '--namespace=kube-system',
    '--ignore-not-found',
  ]);
  const found = dns.exitCode === 0 && dns.stdout.trim() !== '';
  return {
    api: CanaryService.parse(api, { jitless: true }).spec.clusterIP,
    dns: found
      ? CanaryService.parse(JSON.parse(dns.stdout), { jitless: true }).spec.clusterIP
      : undefined,
  };
}

/** The process of its container, as containerd knows it (`ctr tasks ls`: TASK PID STATUS). */
async function processOf(
  { exec }: Pick<MachineContext, 'exec'>,
  { status }: CanaryPod,
): Promise<number> {
  const id = status.containerStatuses[0]?.containerID.replace(/^containerd:\/\//, '') ?? '';
  const argv = [K3S_EXECUTABLE, 'ctr', '--namespace', 'k8s.io', 'tasks', 'ls'] as const;
  const { stdout } = await exec.run(argv, { timeoutMs: CTR_TIMEOUT_MS });
  const row = stdout.split('\n').find((line) => id !== '' && line.startsWith(id));
  const pid = Number(row?.trim().split(/\s+/)[1]);
  if (!Number.isInteger(pid) || pid <= 0) {
    throw new AgentError('TOOL_FAILED', 'containerd does not tell the process of the canary', {
      hint: 'See what it says: sudo k3s ctr --namespace k8s.io tasks ls',
    });
  }
  return pid;
}

/** This program, in the network of that process (nsenter(1)). */
async function reachInside(
  { exec, execPath }: Pick<MachineContext, 'exec' | 'execPath'>,
  pid: number,
  targets: CanaryTargets,
): Promise<CanaryReached> {
  const argv = [
    ...['nsenter', `--net=/proc/${pid}/ns/net`, '--', execPath],
    ...['canary', 'reach', JSON.stringify(targets)],
  ] as [string, ...string[]];
  const { exitCode, stdout, stderr } = await exec.run(argv, { timeoutMs: INSIDE_TIMEOUT_MS });
  if (exitCode !== 0) {
    throw new AgentError(
      'TOOL_FAILED',
      `Cannot look from inside a pod: ${stderr.trim().split('\n')[0] ?? ''}`,
      {
        hint: 'See what it says: sudo pipeops-agent doctor --canary --json',
      },
    );
  }
  return CanaryReached.parse(JSON.parse(stdout), { jitless: true });
}

/** Of the one that is on, if one is; `unconfined` is said by the kernel as well. */
async function confinement(
  { files }: Pick<MachineContext, 'files'>,
  pid: number,
): Promise<string | undefined> {
  const path = `/proc/${pid}/attr/current`;
  const text = await files.readText(path).catch(() => undefined); // Neither of them is on.
  const label = text?.replaceAll('\0', '').trim() ?? '';
  return label === '' ? undefined : label;
}

/** @returns 0 where the kernel does not count them */
async function checksumErrors({ files }: Pick<MachineContext, 'files'>): Promise<number> {
  const text = (await files.readText('/proc/net/snmp')) ?? '';
  const [names = '', values = ''] = text.split('\n').filter((line) => line.startsWith('Udp:'));
  const at = names.split(' ').indexOf('InCsumErrors');
  return at < 0 ? 0 : Number(values.split(' ')[at] ?? 0);
}

function whyNot({ spec, status }: CanaryPod) {
  const state = status.containerStatuses[0]?.state;
  const said =
    state?.waiting ??
    (state?.terminated === undefined
      ? undefined
      : { reason: state.terminated.reason, message: `it ended with ${state.terminated.exitCode}` });
  const words = [said?.reason ?? status.reason, said?.message ?? status.message];
  const why = words.filter((word) => word !== '').join(': ');
  return { node: spec.nodeName, why: why === '' ? 'it did not start in 12 s' : why };
}
