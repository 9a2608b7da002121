/** A k3s of somebody else, with an agent in its cluster: taken over, used, and given back as it was. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { WEB_IMAGE } from '../vm/images.ts';
import { installK3s, waitForNode } from '../vm/k3s-install.ts';
import type { Machine } from '../vm/machine.ts';
import { compareStates } from '../vm/machine-state.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { bringProgram, CA_FILE, openStand, type Stand, TOKEN } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 600_000;
const RUN_TIMEOUT_MS = 240_000;
const POD_TIMEOUT_MS = 90_000;
const AGENT = '/root/pipeops-agent';
const AGENT_ID = 'agent-of-the-cluster';
const IN_NAMESPACE = '--namespace=pipeops-system';

/** What a running cluster changes by itself, and what a pod that was made anew has other names for. */
const OF_RUNNING_K3S = [
  /\/var\/lib\/(rancher\/k3s|kubelet|cni)\b/,
  /\/run\/(k3s|netns|containerd)\b/,
  /veth|containerd-shim|\b(etcd|kube-|kubelet|httpd|pause)/,
  /^firewall: . (ip|ip6) kube-proxy/,
  // What useradd(8) and userdel(8) keep of how it was before.
  /\/etc\/(passwd|group|shadow|gshadow)-$/,
];

const progress = reportProgress('adopt');
let stand: Stand;
let machine: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('adopt');
  machine = await stand.lab.boot({ name: 'owned', base: 'kubernetes', images: true });
  await stand.equip(machine);
  await bringProgram(machine, AGENT);
  await installK3s(machine, stand.mirror, {
    role: 'server',
    config: { 'node-name': 'of-its-owner', 'write-kubeconfig-mode': '0640' },
  });
  await waitForNode(machine, 'of-its-owner');
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

const kubectl = async (...args: readonly string[]) =>
  (await machine.exec(['k3s', 'kubectl', ...args])).stdout.trim();

const run = (...args: readonly string[]) =>
  machine.exec([AGENT, ...args], {
    env: { PIPEOPS_CA_FILE: CA_FILE },
    timeoutMs: RUN_TIMEOUT_MS,
    check: false,
  });

/** Not the one of upstream, whose image nobody has here: what it is called and what it keeps. */
async function startAgentInCluster(): Promise<void> {
  await kubectl('create', 'namespace', 'pipeops-system');
  await kubectl('create', 'serviceaccount', 'pipeops-agent', IN_NAMESPACE);
  const rule = ['--verb=get,list', '--resource=pods,secrets'];
  await kubectl('create', 'clusterrole', 'pipeops-agent', ...rule);
  const account = '--serviceaccount=pipeops-system:pipeops-agent';
  const role = '--clusterrole=pipeops-agent';
  await kubectl('create', 'clusterrolebinding', 'pipeops-agent', role, account);
  // The names of a Helm chart: where variables come from is in the Deployment alone.
  const secret = `--from-literal=PIPEOPS_TOKEN=${TOKEN}`;
  await kubectl('create', 'secret', 'generic', 'of-a-chart', secret, IN_NAMESPACE);
  const settings = [
    `--from-literal=PIPEOPS_API_URL=${stand.controlPlaneUrl}`,
    '--from-literal=PIPEOPS_CLUSTER_NAME=shop',
  ];
  await kubectl('create', 'configmap', 'of-a-chart', ...settings, IN_NAMESPACE);
  const id = `--from-literal=agent_id=${AGENT_ID}`;
  await kubectl('create', 'configmap', 'pipeops-agent-state', id, IN_NAMESPACE);
  const image = `--image=${WEB_IMAGE}`;
  await kubectl('create', 'deployment', 'pipeops-agent', image, IN_NAMESPACE);
  for (const source of ['secret/of-a-chart', 'configmap/of-a-chart']) {
    await kubectl('set', 'env', 'deployment/pipeops-agent', `--from=${source}`, IN_NAMESPACE);
  }
  await kubectl('create', 'deployment', 'neighbour', image, IN_NAMESPACE);
  await deploymentRuns('pipeops-agent');
  await deploymentRuns('neighbour');
}

const deploymentRuns = (name: string) =>
  waitUntil(`the deployment ${name} runs`, POD_TIMEOUT_MS, async () => {
    const path = '--output=jsonpath={.status.readyReplicas}';
    return (await kubectl('get', 'deployment', name, IN_NAMESPACE, path)) === '1';
  });

/** What of the cluster bears our names, without what the API server counts by itself. */
async function ofCluster() {
  const names = ['clusterrole/pipeops-agent', 'clusterrolebinding/pipeops-agent'];
  const rules = await kubectl('get', ...names, '--output=jsonpath={.items[*].rules}');
  const objects = await kubectl(
    ...['get', 'serviceaccounts,secrets,configmaps', IN_NAMESPACE, '--output=name'],
  );
  const deployments = await kubectl('get', 'deployment', IN_NAMESPACE, '--output=name');
  const admission = await kubectl('get', 'validatingadmissionpolicies', '--output=name');
  const secret = await kubectl(
    ...['get', 'secret', 'of-a-chart', IN_NAMESPACE, '--output=jsonpath={.data}'],
  );
  const namespaces = await kubectl('get', 'namespaces', '--output=name');
  const roles = await kubectl('get', 'clusterroles,clusterrolebindings', '--output=name');
  return { rules, objects, deployments, admission, secret, namespaces, roles };
}

const processOfK3s = async () =>
  (await machine.exec(['systemctl', 'show', '--property=MainPID,NRestarts', 'k3s.service'])).stdout;

test(
  'k3s and its cluster are used as they are, and are as they were afterwards',
  async () => {
    await startAgentInCluster();
    const before = await machine.snapshotState();
    const clusterBefore = await ofCluster();
    const pid = await processOfK3s();

    const refused = await run('install', '--json');
    expect(refused.exitCode).toBe(4);
    expect(compareStates(before, await machine.snapshotState(), OF_RUNNING_K3S)).toEqual([]);

    const installed = await run('install', '--adopt', '--yes', '--json');
    expect({ exitCode: installed.exitCode, stderr: installed.stderr }).toMatchObject({
      exitCode: 0,
    });
    expect(installed.stderr + installed.stdout).not.toContain(TOKEN);
    expect(JSON.parse(installed.stdout)).toMatchObject({
      ...{ adopted: true, node: 'of-its-owner', cluster_name: 'shop' },
      control_plane: stand.controlPlaneUrl,
    });
    expect(await stand.registeredAgent()).toMatchObject({ id: AGENT_ID });
    expect(await kubectl('get', 'deployment', IN_NAMESPACE, '--output=name')).toBe(
      'deployment.apps/neighbour',
    );
    expect((await run('install', '--json')).exitCode).toBe(0);

    const removed = await run('uninstall', '--yes');
    expect({ exitCode: removed.exitCode, stderr: removed.stderr }).toMatchObject({ exitCode: 0 });
    await deploymentRuns('pipeops-agent');
    expect(await ofCluster()).toEqual(clusterBefore);
    expect(compareStates(before, await machine.snapshotState(), OF_RUNNING_K3S)).toEqual([]);
    expect(await processOfK3s()).toBe(pid);
  },
  TEST_TIMEOUT_MS,
);
