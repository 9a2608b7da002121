/** One installed machine whose control plane is a process that can be killed and moved. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ShownAgent } from '../../support/control-plane/admin-api.ts';
import { makeCertificates } from '../../support/tls.ts';
import { startK3sMirror } from '../../vm/k3s-mirror.ts';
import { type Lab, openLab } from '../../vm/lab.ts';
import type { Machine } from '../../vm/machine.ts';
import type { Progress } from '../../vm/progress.ts';
import { waitUntil } from '../../vm/wait-until.ts';
import { startReleaseServer } from '../release-server.ts';
import { CA_FILE, installByOneLine, TOKEN, TOKEN_FILE } from '../stand.ts';
import { type Commander, commander } from './commander.ts';
import { type ControlPlaneProcess, startControlPlaneProcess } from './control-plane-process.ts';
import { type Ledger, openLedger } from './ledger.ts';
import { addHostAddress } from './machine-network.ts';
import { type ReadyWatch, watchReady } from './ready-watch.ts';
import { deployment, NAMESPACE, SCALED, SLEEPER, TOOLS } from './traffic.ts';

export const UNIT = 'pipeops-agent.service';
/** The daemon's directory: a disk of its own, so that it can be full. */
export const STATE_DIRECTORY = '/var/lib/pipeops-agent';
const STATE_DISK = '48M';
/** The agent knows its control plane by this name. */
export const CONTROL_PLANE_NAME = 'control-plane.test';

const SETTLE_TIMEOUT_MS = 120_000;
const POLICY_FILE = '/root/policy.yaml';

export interface Rig extends AsyncDisposable, Commander {
  readonly lab: Lab;
  readonly server: Machine;
  readonly controlPlane: ControlPlaneProcess;
  readonly ledger: Ledger;
  readonly ready: ReadyWatch;
  readonly agentId: string;
  /** Where the control plane listens, on the host. */
  readonly address: string;
  /** Another address of the host, where nobody listens; and one that nobody has. */
  readonly otherAddress: string;
  readonly nobodysAddress: string;
  agent(): Promise<ShownAgent>;
}

/** Boots and installs; the applications that the traffic is about run when this resolves. */
export async function openRig(name: string, progress: Progress): Promise<Rig> {
  await using owned = new AsyncDisposableStack();
  const lab = owned.use(await openLab({ name }));
  const directory = await mkdtemp(join(tmpdir(), 'pipeops-chaos-'));
  owned.defer(() => rm(directory, { recursive: true, force: true }));
  const address = lab.hostAddress;
  const neighbour = (number: number) => address.replace(/\d+$/, String(number));
  await addHostAddress(address, neighbour(2));
  const { ca, cert, key } = await makeCertificates([CONTROL_PLANE_NAME]);
  const file = async (fileName: string, text: string) => {
    const path = join(directory, fileName);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  const databasePath = join(directory, 'control-plane.db');
  const controlPlane = owned.use(
    await startControlPlaneProcess({
      hostname: address,
      tokenFile: await file('token', TOKEN),
      certFile: await file('cert.pem', cert),
      keyFile: await file('key.pem', key),
      databasePath,
    }),
  );
  const server = await bootServer(lab, ca);
  await install(lab, server, controlPlane.port, progress);
  const ledger = owned.use(openLedger(databasePath));
  const agentId = await registeredAgent(controlPlane);
  const ready = owned.use(await watchReady(server));
  const commands = commander(controlPlane, ledger, agentId);
  await progress.phase('applications', async () => {
    await server.exec(['k3s', 'kubectl', 'create', 'namespace', NAMESPACE]);
    for (const application of [TOOLS, SLEEPER, SCALED]) {
      await commands.succeeded(await commands.give('deploy', deployment(application, 0)));
    }
  });
  const all = owned.move();
  return {
    lab,
    server,
    controlPlane,
    ledger,
    ready,
    agentId,
    address,
    ...commands,
    otherAddress: neighbour(2),
    nobodysAddress: neighbour(3),
    agent: () => controlPlane.admin<ShownAgent>(`/agents/${agentId}`),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

async function bootServer(lab: Lab, ca: string): Promise<Machine> {
  const server = await lab.boot({
    name: 'server',
    base: 'kubernetes',
    images: true,
    hosts: { [CONTROL_PLANE_NAME]: lab.hostAddress },
    smallDisks: { [STATE_DIRECTORY]: STATE_DISK },
  });
  await server.writeFile(TOKEN_FILE, `${TOKEN}\n`, { mode: 0o600 });
  await server.writeFile(CA_FILE, ca);
  return server;
}

async function install(lab: Lab, server: Machine, port: number, progress: Progress): Promise<void> {
  await using mirror = await startK3sMirror({ hostname: lab.hostAddress, tls: lab.internet });
  await using releases = await startReleaseServer(lab.hostAddress, lab.internet);
  const controlPlaneUrl = `https://${CONTROL_PLANE_NAME}:${port}`;
  const args = ['--token-file', TOKEN_FILE, '--cluster-name', 'chaos'];
  await progress.phase('install', () =>
    installByOneLine({ releases, mirror, controlPlaneUrl }, server, args),
  );
  await server.writeFile(POLICY_FILE, 'preset: operate\n');
  await server.exec(['pipeops-agent', 'policy', 'apply', '--file', POLICY_FILE]);
}

async function registeredAgent(controlPlane: ControlPlaneProcess): Promise<string> {
  return await waitUntil('the agent has registered', SETTLE_TIMEOUT_MS, async () => {
    const { agents } = await controlPlane.admin<{ agents: { id: string }[] }>('/agents');
    return agents[0]?.id;
  });
}
