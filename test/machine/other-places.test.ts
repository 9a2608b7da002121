/** The product below another prefix, with its unit in another directory, as a package may want it. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { placesOf } from '../../src/core/places.ts';
import { BUILD } from '../../src/core/version.ts';
import {
  CONTROL_PLANE,
  MIRROR,
  type SimulatedMachine,
  simulatedMachine,
} from '../support/simulated-machine.ts';

const PLACES = placesOf({
  prefix: '/usr',
  versionsDirectory: '/usr/lib/pipeops-agent',
  unitDirectory: '/usr/lib/systemd/system',
});
const EXECUTABLE = `${PLACES.versionsDirectory}/${BUILD.version}/pipeops-agent`;
const INSTALL = [
  'install',
  '--api-url',
  CONTROL_PLANE,
  '--token-file',
  '/root/token',
  '--k3s-mirror',
  MIRROR,
  '--json',
];

let machine: SimulatedMachine;

beforeEach(async () => {
  machine = await simulatedMachine(PLACES);
  // Every machine with systemd has the first, and k3s' installer wants the second.
  for (const directory of ['/usr/lib/systemd/system', '/usr/local/bin']) {
    await machine.files.makeDirectory(directory, { mode: 0o755 });
  }
});
afterEach(() => machine[Symbol.asyncDispose]());

/** Of the product, wherever it is. */
async function ofProduct(): Promise<readonly string[]> {
  const paths = Object.keys(await machine.tree());
  return paths.filter((path) => path.includes('pipeops')).sort();
}

test('install and uninstall touch nothing of the usual prefix', async () => {
  const before = await machine.tree();
  expect(await machine.run(INSTALL)).toMatchObject({ exitCode: 0 });

  const usual = placesOf();
  const usualPlaces = [usual.executableLink, usual.versionsDirectory, usual.unitFile];
  const found = await ofProduct();
  expect(found.filter((path) => usualPlaces.some((place) => path.startsWith(place)))).toEqual([]);
  expect(found).toContain(EXECUTABLE);
  expect(await machine.files.readLink(PLACES.executableLink)).toBe(EXECUTABLE);
  const unit = (await machine.files.readText(PLACES.unitFile)) ?? '';
  expect(unit.match(/^Exec.*$/gm)).toEqual([
    'ExecStartPre=+-/usr/bin/pipeops-agent credentials renew',
    'ExecStart=/usr/bin/pipeops-agent run',
  ]);

  const { exitCode, stdout } = await machine.run(['uninstall', '--yes', '--json']);
  expect([exitCode, JSON.parse(stdout)]).toMatchObject([0, { kept: [], left: [] }]);
  expect(await machine.tree()).toEqual(before);
});
