/** What tests of installations and removals say again and again, on the simulated machine. */
import { encodeJoinToken, type JoinTokenContent } from '../../src/protocol/secrets/join-token.ts';
import {
  CLUSTER_CA,
  CONTROL_PLANE,
  MIRROR,
  type Ran,
  type SimulatedMachine,
} from './simulated-machine.ts';

/** Where the control plane and k3s are found. */
export const INSTALL_ENV = { PIPEOPS_API_URL: CONTROL_PLANE, PIPEOPS_K3S_MIRROR: MIRROR };
/** A server that its control plane knows. */
export const INSTALL = [
  'install',
  '--token-file',
  '/root/token',
  '--cluster-name',
  'test',
  '--json',
];
/** A server without a control plane. */
export const STANDALONE = ['install', '--cluster-name', 'test', '--json'];
/** A worker; its token comes in on standard input. */
export const JOIN = ['join', '--token', '-', '--json'];
/** A worker's, as a server makes it, but for what is told. */
export function joinToken(content: Partial<JoinTokenContent> = {}): string {
  return encodeJoinToken({
    v: 1,
    servers: ['https://10.0.0.1:6443'],
    ca: CLUSTER_CA,
    token: `K10${'0'.repeat(64)}::abcdef.0123456789abcdef`,
    role: 'agent',
    expires: '2099-01-01T00:00:00.000Z',
    ...content,
  });
}
export const JOIN_TOKEN = joinToken();

/** Makes the machine a server, or a worker of another one. */
export function setUp(
  machine: SimulatedMachine,
  subcommand: 'install' | 'join',
  ...more: readonly string[]
): Promise<Ran> {
  return subcommand === 'install'
    ? machine.run([...INSTALL, ...more], { env: INSTALL_ENV })
    : machine.run([...JOIN, ...more], { env: INSTALL_ENV, stdin: JOIN_TOKEN });
}

/** What systemd knows, and everything on the disk but some paths. */
export async function stateOf(machine: SimulatedMachine, without: readonly string[] = []) {
  const files = Object.entries(await machine.tree()).filter(([path]) => !without.includes(path));
  const sorted = files.sort(([a], [b]) => (a < b ? -1 : 1));
  const units = { states: [...machine.units].sort(), enabled: [...machine.enabled].sort() };
  return { files: Object.fromEntries(sorted), ...units };
}

interface JsonError {
  readonly exitCode: number;
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** How a `--json` run failed. */
export function errorOf(ran: { readonly exitCode: number; readonly stdout: string }): JsonError {
  return { exitCode: ran.exitCode, ...JSON.parse(ran.stdout).error };
}

const HEALTH = 'http://agent/api/health/detailed';

/** The last of everything: an installation that fails there can be taken back. */
export function agentIsNotReady(machine: SimulatedMachine): void {
  machine.web.set(HEALTH, async () => {
    const health = await machine.health();
    const reasons = [{ code: 'POLICY_INVALID', message: 'it is wrong' }];
    return Response.json({ ...health, ready: false, reasons });
  });
}

export function agentIsReady(machine: SimulatedMachine): void {
  machine.web.set(HEALTH, async () => Response.json(await machine.health()));
}
