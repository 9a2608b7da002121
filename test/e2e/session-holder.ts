import type { DetailedHealth } from '../../src/protocol/local-api.ts';
import type { Machine } from '../vm/machine.ts';
import { waitUntil } from '../vm/wait-until.ts';

const TAKE_OVER_TIMEOUT_MS = 120_000;

/** What the agent says of itself; undefined while it does not answer. */
export async function healthOf(machine: Machine): Promise<DetailedHealth | undefined> {
  const ran = await machine.exec(['pipeops-agent', 'status', '--json'], { check: false });
  return ran.exitCode === 0 ? (JSON.parse(ran.stdout) as DetailedHealth) : undefined;
}

/** Waits until one of the servers has a session. */
export function sessionHolder(machines: readonly Machine[]): Promise<Machine> {
  return waitUntil('a server has the session', TAKE_OVER_TIMEOUT_MS, async () => {
    const all = await Promise.all(machines.map(healthOf));
    return machines[all.findIndex((health) => health?.session.phase === 'connected')];
  });
}

/** Waits until a server is ready, and another one has the session. */
export async function standsBy(machine: Machine): Promise<void> {
  await waitUntil(`${machine.name} stands by`, TAKE_OVER_TIMEOUT_MS, async () => {
    const health = await healthOf(machine);
    return health?.ready === true && health.session.phase === 'standby';
  });
}
