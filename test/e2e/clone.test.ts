/** A copy of a machine: its agent has a name of its own, and its cluster goes on. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { ShownAgent } from '../support/control-plane/admin-api.ts';
import type { Machine } from '../vm/machine.ts';
import { prepareTestMachines } from '../vm/prepare.ts';
import { reportProgress } from '../vm/progress.ts';
import { waitUntil } from '../vm/wait-until.ts';
import { installByOneLine, openStand, type Stand, TOKEN_FILE } from './stand.ts';

const PREPARE_TIMEOUT_MS = 1_800_000;
const TEST_TIMEOUT_MS = 600_000;
const REGISTER_TIMEOUT_MS = 120_000;

const progress = reportProgress('clone');
let stand: Stand;
let machine: Machine;

beforeAll(async () => {
  await prepareTestMachines(progress);
  stand = await openStand('clone');
  machine = await stand.lab.boot({ name: 'golden', base: 'kubernetes', images: true });
  await stand.equip(machine);
}, PREPARE_TIMEOUT_MS);

afterAll(async () => {
  await stand?.[Symbol.asyncDispose]();
}, TEST_TIMEOUT_MS);

async function agents(): Promise<readonly ShownAgent[]> {
  const response = await fetch(`${stand.adminUrl()}/admin/agents`);
  return ((await response.json()) as { agents: readonly ShownAgent[] }).agents;
}

const connected = (isWanted: (agent: ShownAgent) => boolean) =>
  waitUntil('an agent is connected', REGISTER_TIMEOUT_MS, async () =>
    (await agents()).find((agent) => agent.session === 'connected' && isWanted(agent)),
  );

test(
  'a copy registers under a name of its own, says so, and its cluster goes on',
  async () => {
    await installByOneLine(stand, machine, ['--token-file', TOKEN_FILE]);
    const { id: original } = await connected(() => true);
    await machine.reboot();
    expect((await connected(() => true)).id).toBe(original);

    // All stands on the disk of a copy, too, but for the id. systemd would make the same one again here.
    const id = `${crypto.randomUUID().replaceAll('-', '')}\n`;
    await machine.writeFile('/etc/machine-id', id, { mode: 0o444 });
    await machine.reboot();
    const { id: copy } = await connected(({ id }) => id !== original);
    expect(copy).toMatch(/^agent-[0-9a-f]{32}$/);
    const status = await machine.exec(['pipeops-agent', 'status', '--json'], { check: false });
    expect(JSON.parse(status.stdout).agent).toMatchObject({ id: copy, copy_of: original });
    const screen = await machine.exec(['pipeops-agent', 'status'], { check: false });
    expect(screen.stdout).toContain(`of the machine of ${original}`);
    expect(await machine.journal({ unit: 'pipeops-agent.service' })).toContain(
      `copy_of=${original}`,
    );
    await waitUntil('the node is ready', REGISTER_TIMEOUT_MS, async () => {
      const { stdout } = await machine.exec(['k3s', 'kubectl', 'get', 'nodes'], { check: false });
      return / Ready /.test(stdout);
    });
    await machine.reboot();
    expect((await connected(({ id }) => id !== original)).id).toBe(copy);
  },
  TEST_TIMEOUT_MS,
);
