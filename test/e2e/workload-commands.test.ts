/**
 * The commands about applications, through the local control plane, on a real machine with real
 * Kubernetes and the agent's own account: each type, and each way a rollout can fail.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { ApplyData } from '../../src/protocol/commands/apply.ts';
import { DeployData } from '../../src/protocol/commands/deploy.ts';
import type { CommandResult } from '../../src/protocol/rest.ts';
import { configMapsYaml, definitionYaml } from '../support/large-manifests.ts';
import { sampled } from '../support/sampled.ts';
import { WEB_IMAGE, WEB_IMAGE_2, WEB_PORT } from '../vm/images.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { installByOneLine, openStand, type Stand, TOKEN_FILE } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 180_000;
/** Lets the agent write what no preset has: definitions, and objects of the kind they bring. */
const POLICY = `preset: standard
resources:
  - {group: apiextensions.k8s.io, resource: customresourcedefinitions, scope: cluster, write: true}
  - {group: test.pipeops.io, resource: widgets, write: true}
`;

const progress = reportProgress('workload-commands');
let stand: Stand;
let server: Machine;
let agentId = '';

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('workload-commands');
  server = await stand.lab.boot({ name: 'server', base: 'kubernetes', images: true });
  await stand.equip(server);
  await progress.phase('install', () =>
    installByOneLine(stand, server, ['--token-file', TOKEN_FILE, '--cluster-name', 'workloads']),
  );
  await server.writeFile('/root/policy.yaml', POLICY);
  await server.exec(['pipeops-agent', 'policy', 'apply', '--file', '/root/policy.yaml']);
  agentId = (await stand.registeredAgent()).id;
}, PREPARE_TIMEOUT_MS);

afterAll(async () => await stand?.[Symbol.asyncDispose](), TEST_TIMEOUT_MS);

async function run(type: string, payload: Record<string, unknown>): Promise<CommandResult> {
  const id = await stand.command(agentId, type, payload);
  const { result } = await progress.phase(type, () => stand.finished(agentId, id));
  if (result === null) {
    throw new Error(`"${type}" is done without a result`);
  }
  return result;
}

const kubectl = async (...args: string[]) =>
  (await server.exec(['k3s', 'kubectl', ...args])).stdout;

const field = (namespace: string, kind: string, name: string, path: string) =>
  kubectl('get', kind, name, '-n', namespace, '-o', `jsonpath={${path}}`);

const names = async (namespace: string, kind: string) =>
  (await kubectl('get', kind, '-n', namespace, '-o', 'name')).split('\n').filter(Boolean);

const CONTAINER = '.spec.template.spec.containers[0]';
const OTHER_PORT = { container_port: WEB_PORT + 1 };

/** What others know an application by, and who owns what of it. */
const identities = async (namespace: string, name: string) => {
  const show = async (kind: string) =>
    JSON.parse(
      await kubectl('get', kind, name, '-n', namespace, '-o', 'json', '--show-managed-fields'),
    );
  const owners = ({ metadata }: { metadata: { managedFields: Record<string, unknown>[] } }) =>
    metadata.managedFields
      .filter(({ subresource }) => subresource === undefined)
      .map(({ manager, operation, fieldsV1 }) => ({ manager, operation, fieldsV1 }));
  const [deployment, service] = [await show('deployment'), await show('service')];
  return {
    uids: [deployment.metadata.uid, service.metadata.uid],
    specs: [deployment.spec, service.spec],
    owners: [
      owners(deployment).filter(({ manager }) => manager === 'pipeops-agent'),
      owners(service),
    ],
  };
};

const web = (more: Record<string, unknown> = {}) => ({
  name: 'web',
  namespace: 'shop',
  image: WEB_IMAGE,
  ports: [{ container_port: WEB_PORT }],
  probes: { readiness: { http: { port: WEB_PORT }, period_seconds: 1 } },
  environment: { GREETING: 'hello' },
  ...more,
});

test(
  'an application is deployed, changed, and taken away again',
  async () => {
    const deployed = await run('deploy', web({ domains: ['web.example.com'] }));
    expect(deployed).toMatchObject({
      success: true,
      data: {
        revision: 1,
        replicas_wanted: 1,
        replicas_ready: 1,
        service_address: expect.stringMatching(/^10\.43\.\d+\.\d+:8080$/),
      },
    });
    const managed = String.raw`.metadata.labels.pipeops\.io/managed`;
    expect(await field('shop', 'ingress', 'web', managed)).toBe('true');
    expect(await field('shop', 'ingress', 'web', '.spec.rules[*].host')).toBe('web.example.com');

    // What another manager added stays, and so does what the payload does not name.
    await kubectl('set', 'env', 'deployment/web', '-n', 'shop', 'THEIRS=1');
    const target = { name: 'web', namespace: 'shop' };
    const updated = await run('update', { ...target, image: WEB_IMAGE_2 });
    expect(updated).toMatchObject({ success: true, data: { revision: 3, replicas_ready: 1 } });
    const env = '.spec.template.spec.containers[0].env[*].name';
    expect((await field('shop', 'deployment', 'web', env)).split(' ').sort()).toEqual([
      'GREETING',
      'THEIRS',
    ]);
    expect(await names('shop', 'ingress')).toEqual(['ingress.networking.k8s.io/web']);

    expect(await run('scale', { ...target, replicas: 2 })).toMatchObject({
      success: true,
      data: { replicas_wanted: 2, replicas_ready: 2 },
    });
    expect(await run('restart', target)).toMatchObject({
      success: true,
      data: { restarted: 'Deployment/web', revision: 4, replicas_ready: 2 },
    });
    expect(await run('rollback', { ...target, revision: 1 })).toMatchObject({
      success: true,
      data: { revision: 5, rolled_back_to: 1, image: WEB_IMAGE, replicas_ready: 2 },
    });
    // Exactly as it was then: without what another manager has added since.
    expect(await field('shop', 'deployment', 'web', env)).toBe('GREETING');
    expect(await run('rollback', { ...target, revision: 77 })).toMatchObject({
      success: false,
      error_code: 'NOT_FOUND',
    });

    expect(await run('deploy', web({ ports: [] }))).toMatchObject({ success: true });
    expect([await names('shop', 'service'), await names('shop', 'ingress')]).toEqual([[], []]);
    expect(await run('delete', target)).toMatchObject({
      success: true,
      data: { deleted: ['Deployment/web'] },
    });
    expect(await names('shop', 'deployment')).toEqual([]);
    expect(await run('update', { ...target, replicas: 1 })).toMatchObject({
      success: false,
      error_code: 'NOT_FOUND',
    });
  },
  TEST_TIMEOUT_MS,
);

describe('a rollout that fails says why', () => {
  const failing: readonly [string, Record<string, unknown>, RegExp][] = [
    [
      'pull',
      { image: 'registry.invalid/none:1' },
      /^image_pull: image "registry\.invalid\/none:1"/,
    ],
    [
      'crash',
      { command: ['sh', '-c', 'echo cannot open the database; exit 3'] },
      /^log: container "crash" wrote last:\ncannot open the database$/,
    ],
    ['huge', { resources: { requests: { cpu: '900' } } }, /^unschedulable: .*Insufficient cpu/],
    [
      'sick',
      { probes: { readiness: { http: { port: 9 }, period_seconds: 1 } } },
      /^probe_failed: Readiness probe failed: .*refused/,
    ],
    [
      'hungry',
      {
        command: ['sh', '-c', 'x=$(yes | head -c 200000000)'],
        resources: { limits: { memory: '16Mi' } },
      },
      /^out_of_memory: container "hungry"/,
    ],
  ];

  test(
    'whatever the reason is',
    async () => {
      const tried = failing.map(async ([name, more, reason]) => {
        const payload = { name, namespace: 'failing', image: WEB_IMAGE, wait_seconds: 12, ...more };
        const { error_code, data } = await run('deploy', payload);
        const { replicas_wanted: wanted, replicas_ready: ready, reasons } = DeployData.parse(data);
        // What is said instead is shown.
        const said = reasons?.find((each) => reason.test(each)) === undefined ? reasons : 'why';
        return { name, error_code, wanted, ready, said };
      });
      expect(await Promise.all(tried)).toEqual(
        failing.map(([name]) => ({
          name,
          error_code: 'ROLLOUT_FAILED',
          wanted: 1,
          ready: 0,
          said: 'why',
        })),
      );
    },
    TEST_TIMEOUT_MS,
  );

  test(
    'early, when a quota leaves no room',
    async () => {
      await kubectl('create', 'namespace', 'full');
      await kubectl('create', 'quota', 'none', '--hard=pods=0', '-n', 'full');
      const payload = { name: 'web', namespace: 'full', image: WEB_IMAGE, wait_seconds: 120 };
      const result = await run('deploy', payload);
      expect(result).toMatchObject({ success: false, error_code: 'ROLLOUT_FAILED' });
      expect(result.data?.['reasons']).toContainEqual(
        expect.stringMatching(/^quota: .*exceeded quota: none/),
      );
      expect(result.metadata.duration_ms).toBeLessThan(60_000);
    },
    TEST_TIMEOUT_MS,
  );
});

test(
  'a deploy changes what it is given and nothing else, and counts what is new',
  async () => {
    const target = { name: 'kept', namespace: 'kept' };
    const host = 'kept.example.com';
    expect(await run('deploy', web({ ...target, domains: [host] }))).toMatchObject({
      success: true,
    });
    expect(await run('scale', { ...target, replicas: 3 })).toMatchObject({ success: true });
    const clusterIP = await field('kept', 'service', 'kept', '.spec.clusterIP');
    const deployed = await run('deploy', { ...target, image: WEB_IMAGE_2 });
    expect(deployed).toMatchObject({
      success: true,
      data: {
        revision: 2,
        replicas_wanted: 3,
        replicas_ready: 3,
        service_address: `${clusterIP}:${WEB_PORT}`,
      },
    });
    expect({
      image: await field('kept', 'deployment', 'kept', '.spec.template.spec.containers[*].image'),
      variable: await field('kept', 'deployment', 'kept', `${CONTAINER}.env[*].value`),
      probe: await field('kept', 'deployment', 'kept', `${CONTAINER}.readinessProbe.httpGet.port`),
      host: await field('kept', 'ingress', 'kept', '.spec.rules[*].host'),
    }).toEqual({ image: WEB_IMAGE_2, variable: 'hello', probe: `${WEB_PORT}`, host });

    // Kubernetes scales it by another manager: that stays, too.
    await kubectl('scale', 'deployment/kept', '-n', 'kept', '--replicas=2');
    expect(await run('deploy', { ...target, image: WEB_IMAGE })).toMatchObject({
      success: true,
      data: { replicas_wanted: 2, replicas_ready: 2 },
    });
    const broken = { ...target, image: 'registry/Not-A-Name', wait_seconds: 60 };
    expect(await run('update', { ...broken, ports: [] })).toMatchObject({
      success: false,
      // The two of before serve on, and do not count.
      data: { replicas_wanted: 2, replicas_ready: 0 },
    });
    expect(await field('kept', 'service', 'kept', '.spec.clusterIP')).toBe(clusterIP);
    expect(await run('update', { ...target, image: WEB_IMAGE, ports: [] })).toMatchObject({
      success: true,
    });
    expect([await names('kept', 'service'), await names('kept', 'ingress')]).toEqual([[], []]);
    expect(await run('delete', target)).toMatchObject({ success: true });
    expect(await run('delete', target)).toMatchObject({
      success: true,
      output: 'kept: there is no "kept", nothing was deleted\n',
    });
  },
  TEST_TIMEOUT_MS,
);

describe('while the controller of Deployments does nothing', () => {
  const signal = (name: 'STOP' | 'CONT') =>
    server.exec(['sh', '-ec', `kill -${name} $(pgrep -f '^[^ ]*k3s kube-controller-manager ')`]);
  const target = { name: 'lag', namespace: 'lag' };

  test(
    'a rollback goes back from what is deployed, and nothing is called done',
    async () => {
      const images = [WEB_IMAGE, WEB_IMAGE_2];
      for (const image of images) {
        expect(await run('deploy', web({ ...target, image }))).toMatchObject({ success: true });
      }
      await signal('STOP');
      try {
        const deployed = await run('deploy', { ...target, image: 'third:1', wait_seconds: 0 });
        expect(deployed).toMatchObject({
          success: true,
          data: { revision: 0, replicas_ready: 0, reasons: [expect.stringMatching(/^not_obs/)] },
        });
        const back = await run('rollback', { ...target, wait_seconds: 3 });
        expect(back).toMatchObject({
          success: false,
          error_code: 'ROLLOUT_FAILED',
          data: { revision: 0, rolled_back_to: 2, image: WEB_IMAGE_2 },
        });
        const image = '.spec.template.spec.containers[*].image';
        expect(await field('lag', 'deployment', 'lag', image)).toBe(WEB_IMAGE_2);
      } finally {
        await signal('CONT');
      }
      // The controller may have read of the third image before it read that this was taken back.
      const first = await run('rollback', { ...target, revision: 1 });
      expect(first).toMatchObject({
        success: true,
        data: { rolled_back_to: 1, image: WEB_IMAGE, replicas_ready: 1 },
      });
      const revision = Number(first.data?.['revision']);
      expect(await run('rollback', { ...target, wait_seconds: 0 })).toMatchObject({
        success: true,
        data: { revision: revision + 1, rolled_back_to: revision - 1, image: WEB_IMAGE_2 },
      });
      expect(await run('rollback', { ...target, revision: revision + 1 })).toMatchObject({
        success: false,
        error_code: 'COMMAND_INVALID',
      });
    },
    TEST_TIMEOUT_MS,
  );
});

test(
  'a deploy that fails goes back to what was there, and takes away what is new',
  async () => {
    const broken = { image: 'registry/Not-A-Name', rollback_on_failure: true, wait_seconds: 60 };
    const target = { name: 'back', namespace: 'mended' };
    expect(await run('deploy', web({ ...target, replicas: 2 }))).toMatchObject({ success: true });
    await kubectl('patch', 'service', 'back', '-n', 'mended', '-p', '{"spec":{"type":"NodePort"}}');
    const before = await identities('mended', 'back');
    const domains = ['x.example.com'];
    const failed = await run('deploy', web({ ...target, ...broken, domains, ports: [OTHER_PORT] }));
    expect(failed).toMatchObject({
      success: false,
      error_code: 'ROLLOUT_FAILED',
      data: { rolled_back: { to: 'earlier_revision', complete: true } },
    });
    expect(failed.data?.['reasons']).toContainEqual(expect.stringContaining('InvalidImageName'));
    expect({
      image: await field('mended', 'deployment', 'back', '.spec.template.spec.containers[*].image'),
      ready: await field('mended', 'deployment', 'back', '.status.readyReplicas'),
      ingresses: await names('mended', 'ingress'),
    }).toEqual({ image: WEB_IMAGE, ready: '2', ingresses: [] });

    expect(await identities('mended', 'back')).toEqual(before);
    const without = await run('deploy', { ...target, ...broken, ports: [], environment: {} });
    expect(without).toMatchObject({ data: { rolled_back: { complete: true } } });
    expect(await identities('mended', 'back')).toEqual(before);

    const first = await run('deploy', web({ ...broken, name: 'first', namespace: 'mended' }));
    expect(first).toMatchObject({
      success: false,
      data: { rolled_back: { to: 'nothing', complete: true } },
    });
    expect(await names('mended', 'deployment')).toEqual(['deployment.apps/back']);
    expect(await names('mended', 'service')).toEqual(['service/back']);
  },
  TEST_TIMEOUT_MS,
);

const WIDGETS = `
apiVersion: test.pipeops.io/v1
kind: Widget
metadata: {name: one}
spec: {size: 1}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.test.pipeops.io}
spec:
  group: test.pipeops.io
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}
`;

/** The agent's memory, MiB: now, and the most since the last call. */
async function memory(): Promise<{ readonly now: number; readonly peak: number }> {
  const show = 'pid=$(systemctl show -P MainPID pipeops-agent); cat /proc/$pid/status; ';
  const { stdout } = await server.exec(['sh', '-ec', `${show} echo 5 > /proc/$pid/clear_refs`]);
  const of = (field: string) =>
    Math.round(Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(stdout)?.[1]) / 1024);
  return { now: of('VmRSS'), peak: of('VmHWM') };
}

const TRANSPORTS = ['websocket', 'rest'] as const;

describe.each(sampled(TRANSPORTS, 1))('large manifests over %s', (transport) => {
  /** Beyond what the agent has when it is idle, MiB; measured: 140 to 270, the most on a busy machine. */
  const PEAK_MIB_MAX = 320;
  const KEPT_MIB_MAX = 64;
  const namespace = `large-${transport}`;

  async function restart(websocket: boolean): Promise<void> {
    await stand.stopControlPlane();
    stand.startControlPlane({ websocket });
  }

  beforeAll(() => restart(transport === 'websocket'), TEST_TIMEOUT_MS);
  // The next ones find it as they expect, in whatever order they run.
  afterAll(async () => {
    await restart(true);
    await kubectl('delete', 'customresourcedefinition', 'giants.test.pipeops.io');
  }, TEST_TIMEOUT_MS);

  test(
    'a bundle of 7.5 MiB with a definition of 1.4 MB is applied, and its memory given back',
    async () => {
      const definition = definitionYaml(1.4e6);
      const manifest = `${definition}---\n${configMapsYaml(7.5 * 1024 * 1024 - definition.length)}`;
      const before = await memory();
      const result = await run('apply', { manifest, namespace });
      const during = await memory();
      expect(resultsOf(result).slice(0, 2)).toEqual([
        'CustomResourceDefinition/giants.test.pipeops.io created',
        'ConfigMap/large-0 created',
      ]);
      expect(result).toMatchObject({ success: true, metadata: { attempts: 1 } });
      const kept = await names(namespace, 'configmaps');
      expect(kept.filter((name) => name.includes('/large-'))).toHaveLength(
        resultsOf(result).length - 1,
      );
      const after = await waitUntil('the memory is given back', TEST_TIMEOUT_MS, async () => {
        const seen = await memory();
        return seen.now <= before.now + KEPT_MIB_MAX ? seen : undefined;
      });
      const { duration_ms: ms } = result.metadata;
      const rss = { before: before.now, peak: during.peak, after: after.now };
      process.stderr.write(`large manifest over ${transport}: ${JSON.stringify({ ms, ...rss })}\n`);
      expect(during.peak - before.now).toBeLessThan(PEAK_MIB_MAX);
    },
    2 * TEST_TIMEOUT_MS,
  );

  test(
    'an object of 1.6 MiB is refused before anything is made',
    async () => {
      const large = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: too-large}\ndata:\n  text: ${'x'.repeat(1.6 * 1024 * 1024)}\n`;
      const result = await run('apply', {
        manifest: `${settings('beside', '1')}---\n${large}`,
        namespace: `${namespace}-refused`,
      });
      expect(result).toMatchObject({
        success: false,
        error_code: 'COMMAND_INVALID',
        data: {
          problems: [expect.stringMatching(/^object 2: ConfigMap "too-large": has \d+ bytes/)],
        },
      });
      expect(await kubectl('get', 'namespaces', '-o', 'name')).not.toContain('refused');
    },
    TEST_TIMEOUT_MS,
  );
});

const settings = (name: string, value: string) => `
apiVersion: v1
kind: ConfigMap
metadata: {name: ${name}, labels: {part: settings}}
data: {value: "${value}"}
`;

const resultsOf = ({ data }: CommandResult) =>
  ApplyData.parse(data).objects.map(({ kind, name, result }) => `${kind}/${name} ${result}`);

test(
  'a manifest is applied object by object, tried dry, and pruned',
  async () => {
    const apply = (manifest: string, more: Record<string, unknown> = {}) =>
      run('apply', { manifest, namespace: 'applied', ...more });
    const both = `${settings('a', '1')}---${settings('b', '1')}`;
    expect(resultsOf(await apply(both, { dry_run: true }))).toEqual([
      'ConfigMap/a created',
      'ConfigMap/b created',
    ]);
    expect(await kubectl('get', 'namespaces', '-o', 'name')).not.toContain('applied');
    expect(resultsOf(await apply(WIDGETS))).toEqual([
      'CustomResourceDefinition/widgets.test.pipeops.io created',
      'Widget/one created',
    ]);
    expect(resultsOf(await apply(both))).toEqual(['ConfigMap/a created', 'ConfigMap/b created']);
    await kubectl('create', 'configmap', 'theirs', '-n', 'applied');
    await kubectl('label', 'configmap', 'theirs', 'part=settings', '-n', 'applied');
    const pruned = await apply(settings('a', '2'), { prune_label: 'part=settings' });
    expect(resultsOf(pruned)).toEqual(['ConfigMap/a configured', 'ConfigMap/b pruned']);
    expect(resultsOf(await apply(settings('a', '2')))).toEqual(['ConfigMap/a unchanged']);
    const left = await kubectl('get', 'configmaps', '-n', 'applied', '-o', 'name');
    expect(left.split('\n')).toContain('configmap/theirs');

    const secret = `
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {password: wLkqZ81hs7-not-to-be-seen}
`;
    const written = [await apply(secret), await apply(secret)];
    expect(written.map(resultsOf)).toEqual([['Secret/key created'], ['Secret/key configured']]);
    expect(JSON.stringify(written)).not.toContain('wLkqZ81hs7');

    const partly = await apply(`${settings('c', '1')}---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: bad}, spec: {replicas: many}}
`);
    expect(partly).toMatchObject({ success: false, error_code: 'APPLY_FAILED' });
    expect(resultsOf(partly)).toEqual(['ConfigMap/c created', 'Deployment/bad failed']);
  },
  TEST_TIMEOUT_MS,
);

test(
  'what the policy forbids, and what is not right, changes nothing',
  async () => {
    const forbidden = `${settings('d', '1')}---
{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: kube-system}}
`;
    expect(await run('apply', { manifest: forbidden })).toMatchObject({
      success: false,
      error_code: 'POLICY_DENIED',
    });
    expect(await kubectl('get', 'configmaps', '-n', 'default', '-o', 'name')).not.toContain('/d');
    expect(
      await run('apply', { manifest: '{apiVersion: v1, kind: ConfigMap, metadata: {name: A_b}}' }),
    ).toMatchObject({ success: false, error_code: 'COMMAND_INVALID' });
    // A name of a port that a Service may have and a Deployment may not: nothing is made, anywhere.
    const half = { name: 'half', ports: [{ name: 'a--b', container_port: WEB_PORT }] };
    const refused = await run('deploy', web({ ...half, namespace: 'whole' }));
    expect(refused).toMatchObject({ success: false, error_code: 'COMMAND_INVALID' });
    expect(refused.error).toContain('a--b');
    expect(await kubectl('get', 'namespaces', '-o', 'name')).not.toContain('whole');
    expect(await run('deploy', web({ ...half, namespace: 'shop' }))).toMatchObject({
      error_code: 'COMMAND_INVALID',
    });
    expect(await names('shop', 'deployment')).not.toContain('deployment.apps/half');
    expect(await names('shop', 'service')).not.toContain('service/half');
    const resources = { requests: { cpu: 0.01, memory: '16e6', 'ephemeral-storage': '1Mi' } };
    // The node of this machine has no room of that kind: Kubernetes' reading of it is enough.
    const fit = web({ name: 'fit', namespace: 'shop', resources, wait_seconds: 0 });
    expect(await run('deploy', fit)).toMatchObject({ success: true });
    expect(await field('shop', 'deployment', 'fit', `${CONTAINER}.resources.requests.cpu`)).toBe(
      '10m',
    );
    expect(await run('deploy', web({ name: 'No', replicas: -1 }))).toMatchObject({
      success: false,
      error_code: 'COMMAND_INVALID',
      data: { problems: [expect.stringMatching(/^name: /), expect.stringMatching(/^replicas: /)] },
    });
    expect(await run('delete', { name: 'fit', namespace: 'shop' })).toMatchObject({
      success: true,
    });
  },
  TEST_TIMEOUT_MS,
);
