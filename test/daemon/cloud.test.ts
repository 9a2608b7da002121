/** What the control plane hears of the machine, its cloud and its routes, is what is so. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { Files, Http } from '../../src/core/ports.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { systemHttp } from '../../src/platform/network/http.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane/control-plane.ts';
import { type FakeKubernetes, startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { type TempDirectory, tempDirectory } from '../support/temp-dir.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { type RunningDaemon, startDaemon } from './running-daemon.ts';

const TOKEN = 'a-control-plane-token';
const TIMEOUT_MS = 20_000;

let directory: TempDirectory;
let kubernetes: FakeKubernetes;
let controlPlane: ControlPlane;
let daemon: RunningDaemon;
/** What was asked of the metadata service. */
let asked: string[];

beforeEach(async () => {
  directory = await tempDirectory();
  kubernetes = await startFakeKubernetes();
  controlPlane = startControlPlane({
    token: TOKEN,
    databasePath: join(directory.path, 'control-plane.db'),
  });
  asked = [];
});

afterEach(async () => {
  await daemon.stop();
  await controlPlane[Symbol.asyncDispose]();
  await kubernetes[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

const METADATA: Readonly<Record<string, string>> = {
  'instance-id': '42',
  region: 'eu-central',
  'availability-zone': 'fsn1-dc14',
  'public-ipv4': '203.0.113.10',
};

/** The daemon on a machine of Hetzner, whose service answers. */
async function startInCloud(more = ''): Promise<void> {
  const real = systemFiles('/');
  const files: Files = {
    ...real,
    readText: async (path, limitBytes) =>
      path === '/sys/class/dmi/id/sys_vendor' ? 'Hetzner\n' : real.readText(path, limitBytes),
  };
  const http: Http = async (url, init) => {
    if (!url.startsWith('http://169.254.')) {
      return systemHttp(url, init);
    }
    asked.push(url);
    return new Response(METADATA[url.split('/').at(-1) ?? '']);
  };
  daemon = await startDaemon(directory.path, {
    kubernetes,
    credentials: { 'control-plane-token': `${TOKEN}\n` },
    config: `http: {port: 0, tls_port: 0}
control_plane: {url: "${controlPlane.url}", heartbeat_interval: 1s}
${more}`,
    ports: { files, http },
  });
}

interface Shown {
  readonly registration: Readonly<Record<string, unknown>>;
  readonly last_heartbeat: { readonly metadata?: Readonly<Record<string, unknown>> } | null;
}

const agent = (fits: (agent: Shown) => boolean) =>
  waitUntil('the control plane has heard of it', TIMEOUT_MS, async () => {
    const { agents } = (await (await fetch(`${controlPlane.adminUrl}/admin/agents`)).json()) as {
      readonly agents: readonly Shown[];
    };
    return agents.find(fits);
  });

test('region, cloud, id and public address are those of the metadata service', async () => {
  await startInCloud();
  const { registration } = await agent(({ last_heartbeat }) => last_heartbeat !== null);
  expect(registration).toMatchObject({
    server_ip: '203.0.113.10',
    region: 'eu-central',
    cloud_provider: 'hetzner',
    labels: {
      'agent.pipeops.io/cloud': 'hetzner',
      'agent.pipeops.io/region': 'eu-central',
      'agent.pipeops.io/instance-id': '42',
    },
    metadata: {
      agent_mode: 'vm-agent',
      zone: 'fsn1-dc14',
      instance_id: '42',
      public_ip: '203.0.113.10',
    },
  });
});

test('facts.metadata: false leaves what the firmware says', async () => {
  await startInCloud('facts: {metadata: false}\n');
  const { registration } = await agent(({ last_heartbeat }) => last_heartbeat !== null);
  expect(registration).toMatchObject({ region: 'unknown-country', cloud_provider: 'hetzner' });
  expect(asked).toEqual([]);
});

test('heartbeats tell whether the machine is private, and how many routes there are', async () => {
  const backend = { service: { name: 'web', port: { number: 80 } } };
  const http = { paths: [{ pathType: 'Prefix', backend }] };
  kubernetes.put('/api/v1/namespaces/default/services/web', {
    metadata: { namespace: 'default' },
    spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
  });
  kubernetes.put('/apis/networking.k8s.io/v1/namespaces/default/ingresses/web', {
    metadata: { namespace: 'default', labels: { 'pipeops.io/managed': 'true' } },
    spec: { rules: ['a.example', 'b.example'].map((host) => ({ host, http })) },
  });
  await startInCloud();
  const { last_heartbeat } = await agent(
    (each) => each.last_heartbeat?.metadata?.['gateway_routes'] === 2,
  );
  expect(last_heartbeat?.metadata).toMatchObject({ is_private: false });
});
