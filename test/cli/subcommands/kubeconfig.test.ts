import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemFiles } from '../../../src/platform/files.ts';
import { cliContext } from '../../support/cli-context.ts';
import { type SimulatedMachine, simulatedMachine } from '../../support/simulated-machine.ts';
import { type TempDirectory, tempDirectory } from '../../support/temp-dir.ts';

let directory: TempDirectory;
let machine: SimulatedMachine;

beforeEach(async () => {
  directory = await tempDirectory();
  machine = await simulatedMachine();
});
afterEach(async () => {
  await directory[Symbol.asyncDispose]();
  await machine[Symbol.asyncDispose]();
});

const ACCESS = {
  server: 'https://127.0.0.1:8443/proxy',
  certificate: '-----BEGIN CERTIFICATE-----\n',
  token_file: '/run/pipeops-agent/local-token',
};

/** Runs `kubeconfig --local` before a daemon that answers so. */
async function runLocal(answer: () => Response, root = '/') {
  const server = Bun.serve({
    unix: join(directory.path, 'agent.sock'),
    routes: { '/api/k8s/local-access': answer },
    fetch: () => new Response('', { status: 500 }),
  });
  try {
    const env = { RUNTIME_DIRECTORY: directory.path };
    return await cliContext({ root, uid: 1000, env }).run('kubeconfig', '--local');
  } finally {
    await server.stop(true);
  }
}

test('kubeconfig --local goes through the agent and holds no secret', async () => {
  const { exitCode, stdout, stderr } = await runLocal(() => Response.json(ACCESS));
  expect({ exitCode, stderr, kubeconfig: JSON.parse(stdout) }).toEqual({
    exitCode: 0,
    stderr: '',
    kubeconfig: {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'pipeops-agent',
          cluster: {
            server: ACCESS.server,
            'certificate-authority-data': Buffer.from(ACCESS.certificate).toString('base64'),
          },
        },
      ],
      users: [{ name: 'pipeops-agent', user: { tokenFile: ACCESS.token_file } }],
      contexts: [
        { name: 'pipeops-agent', context: { cluster: 'pipeops-agent', user: 'pipeops-agent' } },
      ],
      'current-context': 'pipeops-agent',
    },
  });
});

test.each([
  ['', 8443],
  ['http:\n  tls_port: 9443\n', 9443],
  // The system chose one: only the daemon knows it, but it names no host.
  ['http:\n  tls_port: 0\n', 1],
])(
  'kubeconfig --local takes nothing but the certificate from the daemon (%p)',
  async (text, port) => {
    await mkdir(join(directory.path, 'etc/pipeops-agent'), { recursive: true });
    await writeFile(join(directory.path, 'etc/pipeops-agent/config.yaml'), text);
    const evil = {
      server: 'https://evil.example:1/x',
      certificate: ACCESS.certificate,
      token_file: '/root/.ssh/id_ed25519',
    };
    const { stdout } = await runLocal(() => Response.json(evil), directory.path);
    const { clusters, users } = JSON.parse(stdout);
    expect([clusters[0].cluster.server, users[0].user]).toEqual([
      `https://127.0.0.1:${port}/proxy`,
      { tokenFile: '/run/pipeops-agent/local-token' },
    ]);
  },
);

test("kubeconfig --local trusts neither a directory nor a token that is not root's", async () => {
  const files = systemFiles(directory.path);
  const runtime = '/run/pipeops-agent';
  const run = async () => (await runLocal(() => Response.json(ACCESS), directory.path)).stderr;
  await files.claimDirectory(runtime, { mode: 0o755, owner: '0:0' });
  expect(await run()).toBe('');
  await files.link('/root/token', `${runtime}/local-token`);
  expect(await run()).toContain(
    `Cannot trust ${runtime}/local-token: it is not root's [FILE_ACCESS]`,
  );
  await files.claimDirectory(runtime, { mode: 0o755, owner: '1234:1234' });
  expect(await run()).toContain(`Cannot trust ${runtime}: it is not root's [FILE_ACCESS]`);
});

test('kubeconfig --local says so on a worker', async () => {
  const ran = await runLocal(() => Response.json({ error: {} }, { status: 404 }));
  expect({ exitCode: ran.exitCode, stdout: ran.stdout }).toEqual({ exitCode: 4, stdout: '' });
  expect(ran.stderr).toContain('[NOT_A_SERVER]');
});

test("kubeconfig is the administrator's with the address that others reach", async () => {
  const mode = 0o600;
  for (const path of ['/var/lib/rancher/k3s/server/tls', '/etc/rancher/k3s']) {
    await machine.files.makeDirectory(path, { mode: 0o700 });
  }
  await machine.files.writeAtomic('/var/lib/rancher/k3s/server/tls/server-ca.crt', 'CA', { mode });
  const k3sKubeconfig = 'server: https://127.0.0.1:6443\n';
  await machine.files.writeAtomic('/etc/rancher/k3s/k3s.yaml', k3sKubeconfig, { mode });
  const { exitCode, stdout } = await machine.run(['kubeconfig']);
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: 'server: https://10.0.0.1:6443\n' });
});

test("--merge gives the administrator's the name of the cluster: every k3s calls its own default", async () => {
  const mode = 0o600;
  for (const path of ['/var/lib/rancher/k3s/server/tls', '/etc/rancher/k3s', '/root/.kube']) {
    await machine.files.makeDirectory(path, { mode: 0o700 });
  }
  await machine.files.writeAtomic('/var/lib/rancher/k3s/server/tls/server-ca.crt', 'CA', { mode });
  const cluster = { server: 'https://127.0.0.1:6443', 'certificate-authority-data': 'Q0E=' };
  const k3sKubeconfig = JSON.stringify({
    clusters: [{ name: 'default', cluster }],
    users: [{ name: 'default', user: { token: 'secret' } }],
  });
  await machine.files.writeAtomic('/etc/rancher/k3s/k3s.yaml', k3sKubeconfig, { mode });
  const ran = await machine.run(['kubeconfig', '--merge'], { env: { HOME: '/root' } });
  expect([ran.exitCode, ran.stdout]).toEqual([0, '']);
  const merged = Bun.YAML.parse((await machine.files.readText('/root/.kube/config')) ?? '');
  expect(merged).toMatchObject({
    clusters: [{ name: 'Node-1', cluster: { ...cluster, server: 'https://10.0.0.1:6443' } }],
    users: [{ name: 'Node-1', user: { token: 'secret' } }],
    'current-context': 'Node-1',
  });
});

test('kubeconfig without --local is for root, and needs a server', async () => {
  const asUser = await cliContext({ root: directory.path, uid: 1000 }).run('kubeconfig');
  expect([asUser.exitCode, asUser.stdout]).toEqual([4, '']);
  expect(asUser.stderr).toContain('pipeops-agent kubeconfig --local');
  expect((await machine.run(['kubeconfig'])).stderr).toContain('[NOT_A_SERVER]');
});
