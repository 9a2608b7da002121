/** Nodes that hand images to each other: what k3s is told of it, on a server and on those that join. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { decodeJoinToken } from '../../src/protocol/secrets/join-token.ts';
import { errorOf, INSTALL_ENV, JOIN, joinToken } from '../support/installation.ts';
import { type Ran, type SimulatedMachine, simulatedMachine } from '../support/simulated-machine.ts';

const INSTALL = ['install', '--cluster-name', 'test', '--json'];
const SHARING = [...INSTALL, '--embedded-registry'];
const REGISTRIES = '/etc/rancher/k3s/registries.yaml';
const K3S = '/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml';

let machine: SimulatedMachine;
beforeEach(async () => {
  machine = await simulatedMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const install = (words: readonly string[] = SHARING) => machine.run(words, { env: INSTALL_ENV });
const join = (token: string, ...more: readonly string[]) =>
  machine.run([...JOIN, ...more], { env: INSTALL_ENV, stdin: token });
const yaml = async (path: string) => Bun.YAML.parse((await machine.files.readText(path)) ?? '');
/** Of the steps that are about k3s' settings. */
const OF_K3S = ['k3s-config', 'registries', 'k3s-start'];
const changed = ({ stdout }: Ran): readonly string[] =>
  JSON.parse(stdout)
    .steps.filter((step: { changed: boolean }) => step.changed)
    .map(({ id }: { id: string }) => id)
    .filter((id: string) => OF_K3S.includes(id));

test('a server shares images of every registry, and says so in the tokens that it makes', async () => {
  await install();
  expect(await yaml(K3S)).toMatchObject({ 'embedded-registry': true });
  expect(await yaml(REGISTRIES)).toEqual({ mirrors: { '*': {} } });
  expect(changed(await install())).toEqual([]);
  const made = await machine.run(['token', 'create', '--json']);
  expect(decodeJoinToken(JSON.parse(made.stdout).token).embedded_registry).toBe(true);
});

test('without it the token says nothing, and k3s neither', async () => {
  await install(INSTALL);
  const made = await machine.run(['token', 'create', '--json']);
  expect(decodeJoinToken(JSON.parse(made.stdout).token).embedded_registry).toBeUndefined();
  expect(await machine.files.readText(REGISTRIES)).toBeUndefined();
});

test('a worker follows its server: its k3s learns the rest from there', async () => {
  expect((await join(joinToken({ embedded_registry: true }))).exitCode).toBe(0);
  expect(await yaml(REGISTRIES)).toEqual({ mirrors: { '*': {} } });
  expect(await yaml(K3S)).not.toHaveProperty('embedded-registry');
  const rows: readonly { setting: string; value: unknown; note: string | null }[] = JSON.parse(
    (await machine.run(['config', 'show', '--json'])).stdout,
  ).settings;
  expect(rows.find(({ setting }) => setting === 'k3s.embedded_registry')).toMatchObject({
    value: true,
    note: 'where its server has it, too',
  });
});

test('mirrors and an entry that a person has made for all registries stay, also when it is ended', async () => {
  const theirs = {
    '*': { endpoint: ['https://all.test'] },
    'ghcr.io': { endpoint: ['https://a.test'] },
  };
  await machine.put(REGISTRIES, JSON.stringify({ mirrors: theirs }));
  machine.web.set('https://hub.test/v2/', () => Response.json({}));
  await install([...SHARING, '--registry-mirror', 'https://hub.test']);
  const all = { mirrors: { ...theirs, 'docker.io': { endpoint: ['https://hub.test'] } } };
  expect(await yaml(REGISTRIES)).toEqual(all);
  expect(changed(await install())).toEqual([]);
  await install([...INSTALL, '--no-embedded-registry']);
  expect(await yaml(REGISTRIES)).toEqual(all);
});

test('it is ended by a later run, which leaves no entry of ours', async () => {
  await install();
  expect(changed(await install([...INSTALL, '--no-embedded-registry']))).toEqual(
    expect.arrayContaining(['k3s-config', 'registries', 'k3s-start']),
  );
  expect(await yaml(K3S)).not.toHaveProperty('embedded-registry');
  expect(await yaml(REGISTRIES)).toEqual({ mirrors: {} });
});

test('the port by which nodes share images must be free, but only then', async () => {
  const held = 'h\n0: 00000000:1389 0:0 0A 0:0 0:0 0 0 0 4711\n';
  await machine.put('/proc/net/tcp', held);
  expect(errorOf(await install())).toMatchObject({ exitCode: 4, code: 'PORT_IN_USE' });
  expect((await install(INSTALL)).exitCode).toBe(0);
});
