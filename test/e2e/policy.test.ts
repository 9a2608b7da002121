/** What Kubernetes itself refuses the agent's account, on a real cluster: the wall behind the policy. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { permissionsManifest } from '../../src/cli/kubernetes-account.ts';
import { policyOfPreset } from '../../src/cli/policy-preset.ts';
import type { PolicyPreset } from '../../src/protocol/policy-file.ts';
import { installK3s, waitForNode } from '../vm/k3s-install.ts';
import { type K3sMirror, startK3sMirror } from '../vm/k3s-mirror.ts';
import { type Lab, openLab } from '../vm/lab.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 180_000;
const IN_FORCE_TIMEOUT_MS = 20_000;
const AGENT = '--as=system:serviceaccount:pipeops-system:pipeops-agent';

const progress = reportProgress('policy');
let lab: Lab;
let server: Machine;
let mirror: K3sMirror;

beforeAll(async () => {
  await prepareTestMachines(progress);
  lab = await openLab({ name: 'policy' });
  mirror = await startK3sMirror({ hostname: lab.hostAddress });
  server = await lab.boot({ name: 'policy-server', base: 'kubernetes', images: true });
  await progress.phase('k3s', () => installK3s(server, mirror, { role: 'server' }));
  await waitForNode(server, 'policy-server');
  await kubectl(['create', 'namespace', 'shop']);
  await kubectl(['create', 'serviceaccount', 'default', '--namespace=kube-public']);
  const web = JSON.stringify(pod({}, 'kube-public'));
  await saysInTheEnd(() => kubectl(['create', '-f', '-'], web), 'pod/web created');
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await mirror?.[Symbol.asyncDispose]();
  await lab?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

async function kubectl(args: readonly string[], stdin?: string): Promise<string> {
  const options = { check: false, ...(stdin === undefined ? {} : { stdin }) };
  const { stdout, stderr } = await server.exec(['k3s', 'kubectl', ...args], options);
  return stdout + stderr;
}

async function applyPreset(preset: PolicyPreset): Promise<void> {
  const manifest = permissionsManifest(policyOfPreset(preset));
  const argv = ['apply', '--server-side', '--force-conflicts', '-f', '-'];
  const said = await kubectl(argv, manifest);
  expect(said.split('\n').filter((line) => !line.endsWith('serverside-applied'))).toEqual(['']);
}

/** The API server acts on changed accounts, roles and policies from its caches, a moment after the write. */
async function saysInTheEnd(ask: () => Promise<string>, expected: string): Promise<void> {
  let said = '';
  await waitUntil(`the cluster says ${expected}`, IN_FORCE_TIMEOUT_MS, async () => {
    said = await ask();
    return said.includes(expected) ? true : undefined;
  }).catch(() => expect(said).toContain(expected));
}

/** What the cluster says when the agent's account writes the object, without keeping it. */
const tryWrite = (object: unknown) =>
  kubectl(['create', '--dry-run=server', AGENT, '-f', '-'], JSON.stringify(object));

const container = { name: 'c', image: 'x' };
const metadata = { name: 'web', namespace: 'shop' };
const pod = (spec: object, namespace = 'shop') => ({
  ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace } },
  spec: { containers: [container], ...spec },
});
const deployment = (spec: object) => ({
  ...{ apiVersion: 'apps/v1', kind: 'Deployment', metadata },
  spec: {
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [container], ...spec } },
  },
});
const cronJob = (spec: object) => ({
  ...{ apiVersion: 'batch/v1', kind: 'CronJob', metadata },
  spec: {
    schedule: '0 0 1 1 *',
    jobTemplate: {
      spec: { template: { spec: { restartPolicy: 'Never', containers: [container], ...spec } } },
    },
  },
});
const confined = (securityContext: object) => ({ containers: [{ ...container, securityContext }] });

test(
  'standard: no pod that would be root on the node, whatever makes it',
  async () => {
    await applyPreset('standard');
    const privileged = deployment(confined({ privileged: true }));
    await saysInTheEnd(() => tryWrite(privileged), 'pod-security');
    const roots = [
      { hostNetwork: true },
      { hostPID: true },
      { volumes: [{ name: 'v', hostPath: { path: '/' } }] },
      { initContainers: [{ ...container, name: 'i', securityContext: { privileged: true } }] },
      confined({ capabilities: { add: ['SYS_ADMIN'] } }),
      confined({ procMount: 'Unmasked' }),
      confined({ seccompProfile: { type: 'Unconfined' } }),
      { securityContext: { appArmorProfile: { type: 'Unconfined' } } },
      { containers: [{ ...container, ports: [{ containerPort: 1, hostPort: 1 }] }] },
    ];
    for (const spec of roots) {
      for (const object of [pod(spec), deployment(spec), cronJob(spec)]) {
        expect([object.kind, spec, await tryWrite(object)]).toEqual([
          object.kind,
          spec,
          expect.stringMatching(/pod-security|procMount|hostUsers/),
        ]);
      }
    }
    const ordinary = confined({ capabilities: { drop: ['ALL'], add: ['CHOWN'] } });
    for (const object of [pod(ordinary), deployment(ordinary), cronJob(ordinary)]) {
      expect(await tryWrite(object)).toContain('created (server dry run)');
    }
    const ports = [{ port: 80 }];
    const service = { apiVersion: 'v1', kind: 'Service', metadata };
    expect(await tryWrite({ ...service, spec: { ports } })).toContain('created');
    expect(await tryWrite({ ...service, spec: { ports, externalIPs: ['192.0.2.1'] } })).toContain(
      'pod-security',
    );
  },
  TEST_TIMEOUT_MS,
);

test(
  'standard: what is protected is not written, not even what RBAC grants',
  async () => {
    await applyPreset('standard');
    const writes = [
      pod({}, 'kube-system'),
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace: 'pipeops-system' } },
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-mine' } },
    ];
    for (const object of writes) {
      await saysInTheEnd(() => tryWrite(object), 'protected-namespaces');
    }
    const label = ['label', 'namespace', 'kube-system', 'a=b', '--dry-run=server', AGENT];
    expect(await kubectl(label)).toContain('protected-namespaces');
    expect(await kubectl(['create', 'token', 'default', '-n', 'kube-public', AGENT])).toContain(
      'cannot create resource "serviceaccounts/token"',
    );
    expect(
      await kubectl(['create', 'token', 'pipeops-agent', '-n', 'pipeops-system', AGENT]),
    ).toMatch(/^eyJ/);
    const eviction = {
      ...{ apiVersion: 'policy/v1', kind: 'Eviction', deleteOptions: { dryRun: ['All'] } },
      metadata: { name: 'web', namespace: 'kube-public' },
    };
    const evict = ['create', '--raw', '/api/v1/namespaces/kube-public/pods/web/eviction', AGENT];
    expect(await kubectl([...evict, '-f', '-'], JSON.stringify(eviction))).toContain('Success');
    expect(await kubectl(['delete', 'pod', 'web', '-n', 'kube-public', AGENT])).toContain(
      'protected-namespaces',
    );
  },
  TEST_TIMEOUT_MS,
);

test(
  'the presets differ in what the account may do',
  async () => {
    const questions = [
      ['list', 'pods', '-A'],
      ['get', 'pods', '--subresource=log', '-n', 'shop'],
      ['patch', 'deployments', '-n', 'shop'],
      ['create', 'secrets', '-n', 'shop'],
      ['get', 'secrets', '-n', 'shop'],
      ['create', 'pods', '--subresource=exec', '-n', 'shop'],
      ['get', 'nodes', '--subresource=proxy'],
      ['escalate', 'clusterroles'],
      ['patch', 'pods', '--subresource=ephemeralcontainers', '-n', 'shop'],
    ];
    const answers = async () => {
      const said = [];
      for (const question of questions) {
        const text = await kubectl(['auth', 'can-i', AGENT, ...question]);
        // Beside the answer there may be a warning.
        said.push(text.split('\n').find((line) => line === 'yes' || line === 'no'));
      }
      return said.join(' ');
    };
    const expected = [
      ['read-only', 'yes yes no no no no no no no'],
      ['standard', 'yes yes yes yes no no no no no'],
      ['operate', 'yes yes yes yes yes yes no no no'],
    ] as const;
    for (const [preset, permissions] of expected) {
      await applyPreset(preset);
      await saysInTheEnd(answers, permissions);
    }
    const exec = ['exec', '-n', 'kube-public', 'web', AGENT, '--', 'true'];
    await saysInTheEnd(() => kubectl(exec), 'protected-namespaces');
  },
  TEST_TIMEOUT_MS,
);
