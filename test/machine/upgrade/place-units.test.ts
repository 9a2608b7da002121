/** What a version that takes over, or comes back, does to the units of the one before. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { setUp } from '../../support/installation.ts';
import { type SimulatedMachine, simulatedMachine } from '../../support/simulated-machine.ts';

const UNITS = '/etc/systemd/system';
const SNAPSHOTS_TIMER = `${UNITS}/pipeops-agent-snapshots.timer`;

let machine: SimulatedMachine;

beforeEach(async () => {
  machine = await simulatedMachine();
  expect((await setUp(machine, 'install')).exitCode).toBe(0);
});
afterEach(async () => await machine[Symbol.asyncDispose]());

async function unitTexts(): Promise<Readonly<Record<string, string | undefined>>> {
  const names = (await machine.files.list(UNITS)).filter((name) => name.startsWith('pipeops-'));
  const read = async (name: string) => [name, await machine.files.readText(`${UNITS}/${name}`)];
  return Object.fromEntries(await Promise.all(names.sort().map(read)));
}

/** @returns what it asked systemd for */
async function placeUnits(): Promise<readonly string[]> {
  const before = machine.calls.length;
  expect((await machine.run(['upgrade', 'place-unit'])).exitCode).toBe(0);
  return machine.calls.slice(before).map(({ argv }) => argv.join(' '));
}

test('a version writes all units that it is made for, and systemd reads them', async () => {
  const own = await unitTexts();
  expect(Object.keys(own)).toEqual([
    ...['pipeops-agent-helper.socket', 'pipeops-agent-helper@.service'],
    ...['pipeops-agent-k3s-asked.service', 'pipeops-agent-k3s-asked.timer'],
    ...['pipeops-agent-k3s-upgrade.path', 'pipeops-agent-k3s-upgrade.service'],
    ...['pipeops-agent-snapshots.service', 'pipeops-agent-snapshots.timer'],
    'pipeops-agent.service',
  ]);
  for (const name of Object.keys(own)) {
    await machine.put(`${UNITS}/${name}`, '# of another version\n');
  }
  expect(await placeUnits()).toEqual(['systemctl daemon-reload']);
  expect(await unitTexts()).toEqual(own);
});

test('a unit that is not on this machine is not made', async () => {
  await machine.files.remove(SNAPSHOTS_TIMER);
  expect(await placeUnits()).toEqual(['systemctl daemon-reload']);
  expect(await machine.files.stat(SNAPSHOTS_TIMER)).toBeUndefined();
});

test('a unit that a person has masked stays so', async () => {
  await machine.files.link('/dev/null', SNAPSHOTS_TIMER);
  expect(await placeUnits()).toEqual(['systemctl daemon-reload']);
  expect(await machine.files.readLink(SNAPSHOTS_TIMER)).toBe('/dev/null');
});

test('units that were written before a kill are read all the same', async () => {
  const own = await unitTexts();
  expect(await placeUnits()).toEqual(['systemctl daemon-reload']);
  expect(await unitTexts()).toEqual(own);
});
