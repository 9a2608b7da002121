import { voters } from '../vm/etcd-voters.ts';
import type { Machine } from '../vm/machine.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { joinByOneLine, readyNodes, type Stand } from './stand.ts';

const SETTLE_TIMEOUT_MS = 120_000;

/** `token create` for one more server. */
export const createServerToken = (server: Machine, ...flags: readonly string[]) =>
  server.exec(
    ['pipeops-agent', 'token', 'create', '--role', 'server', '--yes', '--json', ...flags],
    { check: false },
  );

/**
 * A token on the first server, README's line on another machine, until both are well.
 * @param count of servers with it
 * @param whileOpen called while the token is out
 */
export async function joinServer(
  stand: Stand,
  first: Machine,
  machine: Machine,
  count: number,
  whileOpen: () => Promise<void> = async () => undefined,
) {
  const created = await waitUntil('a server may join', SETTLE_TIMEOUT_MS, async () => {
    const ran = await createServerToken(first);
    return ran.exitCode === 0 ? ran : undefined;
  });
  const { token, id } = JSON.parse(created.stdout);
  await whileOpen();
  const joined = await joinByOneLine(stand, machine, token);
  await waitUntil('the servers are ready', SETTLE_TIMEOUT_MS, async () => {
    return (await readyNodes(first)) === count;
  });
  await waitUntil('etcd has the member', SETTLE_TIMEOUT_MS, async () => {
    return (await voters(machine)).length === count;
  });
  await waitUntil('the token has ended', SETTLE_TIMEOUT_MS, async () => {
    const { stdout } = await first.exec(['pipeops-agent', 'token', 'list', '--json']);
    const { tokens } = JSON.parse(stdout) as { tokens: { id: string }[] };
    return tokens.every((each) => each.id !== id);
  });
  return joined;
}
