/** Everything around the machines: releases, k3s, a control plane over TLS with a private CA. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ShownAgent } from '../support/control-plane/admin-api.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane/control-plane.ts';
import type { DialectOptions } from '../support/control-plane/dialect.ts';
import type { CommandRecord } from '../support/control-plane/store.ts';
import { makeCertificates } from '../support/tls.ts';
import { type K3sMirror, startK3sMirror } from '../vm/k3s-mirror.ts';
import { type K3sRelease, prepareK3sRelease } from '../vm/k3s-release.ts';
import { type Lab, openLab } from '../vm/lab.ts';
import type { ExecOptions, Machine } from '../vm/machine.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { type ReleaseServer, startReleaseServer } from './release-server.ts';
import { testRelease } from './test-release.ts';

export const TOKEN = 'e2e-control-plane-token-5b1f0c';
/** Where a test puts the token and the CA certificate on a machine. */
export const TOKEN_FILE = '/root/control-plane-token';
export const CA_FILE = '/root/control-plane-ca.pem';

const INSTALL_TIMEOUT_MS = 240_000;
const COMMAND_TIMEOUT_MS = 180_000;

export interface Stand extends AsyncDisposable {
  readonly lab: Lab;
  readonly releases: ReleaseServer;
  readonly mirror: K3sMirror;
  readonly controlPlaneUrl: string;
  /** The address for people and programs that command agents. */
  adminUrl(): string;
  /** Ends the control plane; its data stays. */
  stopControlPlane(): Promise<void>;
  /** Starts it on the same address with the same data; the admin side is on another port then. */
  startControlPlane(dialect?: DialectOptions): void;
  /** Puts token and CA certificate on a machine. */
  equip(machine: Machine): Promise<void>;
  /** All that the control plane has ever known. */
  agents(): Promise<readonly ShownAgent[]>;
  /** Waits until an agent has registered. */
  registeredAgent(): Promise<ShownAgent>;
  /** Gives a command through the admin API. @returns its id */
  command(agentId: string, type: string, payload: Record<string, unknown>): Promise<string>;
  commandState(agentId: string, id: string): Promise<CommandRecord>;
  /** Waits for the result of a command. */
  finished(agentId: string, id: string): Promise<CommandRecord>;
}

/**
 * @param name of the lab: one per test file
 * @param ip of the addresses where machines find it; those of IPv6 are for machines that have IPv6
 * @param older versions that can be installed beside the present one
 * @param k3s what machines install, where it is not the k3s to test
 * @param otherK3s releases of k3s that the mirror has beside it, and no channel points at
 */
export async function openStand(
  name: string,
  {
    ip = '4',
    older = [],
    k3s,
    otherK3s = [],
  }: {
    readonly ip?: '4' | '6';
    readonly older?: readonly string[];
    readonly k3s?: K3sRelease;
    readonly otherK3s?: readonly K3sRelease[];
  } = {},
): Promise<Stand> {
  const lab = await openLab({ name });
  const directory = await mkdtemp(join(tmpdir(), 'pipeops-e2e-'));
  const hostname = ip === '6' ? lab.hostAddress6 : lab.hostAddress;
  const { ca, cert, key } = await makeCertificates([hostname]);
  const mirror = await startK3sMirror({
    hostname,
    tls: lab.internet,
    releases: [k3s ?? (await prepareK3sRelease()), ...otherK3s],
  });
  const releases = await startReleaseServer(hostname, lab.internet, older);
  let port = 0;
  const start = (dialect: DialectOptions = {}) =>
    startControlPlane({
      dialect,
      token: TOKEN,
      listen: { hostname, port },
      tls: { cert, key },
      databasePath: join(directory, 'control-plane.db'),
    });
  let controlPlane: ControlPlane | undefined = start();
  port = controlPlane.port;
  const controlPlaneUrl = controlPlane.url;
  const adminUrl = () => {
    if (controlPlane === undefined) {
      throw new Error('The control plane is down');
    }
    return controlPlane.adminUrl;
  };
  /** The caller knows what each path answers: it is our own API. */
  const admin = async <T>(path: string, init?: RequestInit): Promise<T> => {
    const response = await fetch(`${adminUrl()}/admin/agents${path}`, init);
    if (!response.ok) {
      throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    }
    return (await response.json()) as T;
  };
  const agents = async () => (await admin<{ agents: ShownAgent[] }>('')).agents;
  const commandState = (agentId: string, id: string): Promise<CommandRecord> =>
    admin<CommandRecord>(`/${agentId}/commands/${id}`);
  const stopControlPlane = async () => {
    await controlPlane?.[Symbol.asyncDispose]();
    controlPlane = undefined;
  };
  return {
    lab,
    releases,
    mirror,
    controlPlaneUrl,
    adminUrl,
    stopControlPlane,
    startControlPlane: (dialect) => {
      controlPlane = start(dialect);
    },
    equip: async (machine) => {
      await machine.writeFile(TOKEN_FILE, `${TOKEN}\n`, { mode: 0o600 });
      await machine.writeFile(CA_FILE, ca);
    },
    agents,
    registeredAgent: () =>
      waitUntil('an agent has registered', COMMAND_TIMEOUT_MS, async () => {
        return (await agents())[0];
      }),
    command: async (agentId, type, payload) => {
      const body = JSON.stringify({ type, payload });
      const path = `/${agentId}/commands`;
      return (await admin<{ id: string }>(path, { method: 'POST', body })).id;
    },
    commandState,
    finished: (agentId, id) =>
      waitUntil(`command ${id} has a result`, COMMAND_TIMEOUT_MS, async () => {
        const command = await commandState(agentId, id);
        return command.state === 'done' ? command : undefined;
      }),
    [Symbol.asyncDispose]: async () => {
      await stopControlPlane();
      await releases[Symbol.asyncDispose]();
      await mirror[Symbol.asyncDispose]();
      await lab[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A machine for the server and one for a worker, nothing installed yet. */
export function bootTwo({ lab }: Stand): Promise<[Machine, Machine]> {
  const boot = (name: string) => lab.boot({ name, base: 'kubernetes', images: true });
  return Promise.all([boot('server'), boot('worker')]);
}

/** Where an installation takes everything from. */
export type Sources = Pick<Stand, 'releases' | 'mirror' | 'controlPlaneUrl'>;

/** What a user of this stand has in the environment; a person needs none of it. */
export function installEnvironment(stand: Sources): Record<string, string> {
  return {
    PIPEOPS_BASE_URL: stand.releases.url,
    PIPEOPS_K3S_MIRROR: stand.mirror.url,
    PIPEOPS_API_URL: stand.controlPlaneUrl,
    PIPEOPS_CA_FILE: CA_FILE,
  };
}

/** Puts the program onto a machine, where no installation looks for it. */
export async function bringProgram(machine: Machine, path: string): Promise<void> {
  await machine.copyIn((await testRelease()).program, path, { mode: 0o755 });
}

/** Runs a program with `--json`. @returns its document, and its exit code */
export async function runForDocument(
  stand: Sources,
  machine: Machine,
  argv: readonly [string, ...string[]],
  timeoutMs: number,
) {
  const { exitCode, stdout } = await machine.exec([...argv, '--json'], {
    env: installEnvironment(stand),
    timeoutMs,
    check: false,
  });
  return { exitCode, ...JSON.parse(stdout) };
}

/** How one line begins that fetches the installer: as in README, and as INSTALL.md has it without curl. */
export type Fetcher = 'curl -fsSL' | 'wget -qO-';

/** The one line of the README. */
export function installByOneLine(
  stand: Sources,
  machine: Machine,
  args: readonly string[],
  {
    fetcher = 'curl -fsSL',
    ...options
  }: Pick<ExecOptions, 'env' | 'check' | 'heard'> & { readonly fetcher?: Fetcher } = {},
) {
  const line = `${fetcher} ${stand.releases.url}/install.sh | sh -s -- "$@"`;
  return machine.exec(['sh', '-c', line, 'sh', ...args], {
    timeoutMs: INSTALL_TIMEOUT_MS,
    ...options,
    env: { ...installEnvironment(stand), ...options.env },
  });
}

/** Where README's line for a further machine expects the token. */
export const JOIN_TOKEN_FILE = '/root/join-token';

/** The line of the README for a further machine, with its place and token put in. */
export async function readmeJoinLine(baseUrl: string, token: string): Promise<string> {
  const readme = await Bun.file(join(import.meta.dir, '../../README.md')).text();
  const line = readme.split('\n').find((each) => / join --token-file /.test(each));
  if (line === undefined || !line.includes(` ${JOIN_TOKEN_FILE}`) || !line.includes(' pj1.… ')) {
    throw new Error('README has no line for a further machine');
  }
  return line.replace('pj1.…', token).replace(/https:\S*(?=\/install\.sh)/, baseUrl);
}

/** Tests are root, and the machines have no sudo. */
export function withoutSudo(line: string): string {
  return line.replaceAll('sudo ', '');
}

/** Runs README's line for a further machine, which needs to know nothing of the control plane. */
export async function joinByOneLine(
  stand: Sources,
  machine: Machine,
  token: string,
  {
    more = '',
    ...options
  }: Pick<ExecOptions, 'env' | 'check' | 'heard'> & {
    /** Further flags. */ readonly more?: string;
  } = {},
) {
  const line = withoutSudo(await readmeJoinLine(stand.releases.url, token));
  const ran = await machine.exec(['sh', '-c', `${line} ${more}`], {
    ...options,
    timeoutMs: INSTALL_TIMEOUT_MS,
    env: {
      PIPEOPS_BASE_URL: stand.releases.url,
      PIPEOPS_K3S_MIRROR: stand.mirror.url,
      ...options.env,
    },
  });
  await machine.exec(['rm', JOIN_TOKEN_FILE]);
  return ran;
}

/** `token create` on the server, then the README's line on another machine. */
export async function joinByToken(
  stand: Stand,
  server: Machine,
  worker: Machine,
  options: Pick<ExecOptions, 'heard'> = {},
): Promise<string> {
  const created = await server.exec(['pipeops-agent', 'token', 'create', '--ttl', '10m', '--json']);
  const { token, id } = JSON.parse(created.stdout);
  await joinByOneLine(stand, worker, token, options);
  return id;
}

/** How many nodes the server counts as ready. */
export async function readyNodes(server: Machine): Promise<number> {
  const { stdout } = await server.exec(['pipeops-agent', 'cluster-info', '--json']);
  const { nodes } = JSON.parse(stdout) as { nodes: { ready: boolean }[] };
  return nodes.filter(({ ready }) => ready).length;
}
