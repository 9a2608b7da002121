/** Three servers, of which some leave: how they come, and what is left of one that has gone. */
import { expect } from 'bun:test';
import { voters } from '../../vm/etcd-voters.ts';
import type { Machine } from '../../vm/machine.ts';
import { waitUntil } from '../../vm/wait-until.ts';
import {
  bringProgram,
  installByOneLine,
  joinByOneLine,
  readyNodes,
  type Stand,
  TOKEN_FILE,
} from '../stand.ts';
import { AGENT } from './killed.ts';

const SETTLE_TIMEOUT_MS = 120_000;
/** What k3s fills, and what keeps it down meanwhile. */
const GONE = [
  ...['/etc/rancher', '/var/lib/rancher', '/usr/local/bin/k3s'],
  ...['/run/systemd/system/k3s.service.d', '/var/lib/pipeops-agent-host'],
];

export interface ServerRig {
  readonly first: Machine;
  readonly second: Machine;
  readonly third: Machine;
}

/** The first of them is a server with etcd; the others are bare. */
export async function openServerRig(stand: Stand): Promise<ServerRig> {
  const boot = (name: string) => stand.lab.boot({ name, base: 'kubernetes', images: true });
  const [first, second, third] = await Promise.all([boot('first'), boot('second'), boot('third')]);
  await stand.equip(first);
  await bringProgram(third, AGENT);
  const named = ['--token-file', TOKEN_FILE, '--cluster-name', 'e2e'];
  await installByOneLine(stand, first, ['--ha', ...named]);
  return { first, second, third };
}

/** @param count of servers with it */
export async function joinServer(
  stand: Stand,
  machine: Machine,
  through: Machine,
  count: number,
): Promise<void> {
  const words = ['token', 'create', '--role', 'server', '--yes', '--json'];
  const created = await waitUntil('a server may join', SETTLE_TIMEOUT_MS, async () => {
    const ran = await through.exec(['pipeops-agent', ...words], { check: false });
    return ran.exitCode === 0 ? ran : undefined;
  });
  await joinByOneLine(stand, machine, JSON.parse(created.stdout).token);
  await waitUntil('the servers are ready, and vote', SETTLE_TIMEOUT_MS, async () => {
    return (await readyNodes(through)) === count && (await voters(through)).length === count;
  });
}

/**
 * It is out of etcd and of the cluster, and nothing of it is on the machine.
 * @param left the names of the servers that stay
 */
export async function expectGone(
  machine: Machine,
  stays: Machine,
  left: readonly string[],
): Promise<void> {
  const argv = ['k3s', 'kubectl', 'get', 'secrets', '-n', 'kube-system', '-o', 'name'];
  const { stdout } = await stays.exec(argv);
  const passwords = [...stdout.matchAll(/secret\/(\S+)\.node-password\.k3s/g)];
  const there: string[] = [];
  for (const path of GONE) {
    if ((await machine.exec(['test', '-e', path], { check: false })).exitCode === 0) {
      there.push(path);
    }
  }
  expect({
    ...{ voters: await voters(stays), ready: await readyNodes(stays), there },
    passwords: passwords.map(([, node]) => node).sort(),
  }).toEqual({ voters: [...left], ready: left.length, there: [], passwords: [...left] });
}
