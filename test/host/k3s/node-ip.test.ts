import { afterEach, beforeEach, expect, test } from 'bun:test';
import { placesOf } from '../../../src/core/places.ts';
import { rewriteNodeIp } from '../../../src/host/k3s/node-ip.ts';
import { type BareMachine, bareMachine } from '../../support/bare-machine.ts';
import { factDeps } from '../../support/fact-deps.ts';

const OURS = '/etc/rancher/k3s/config.yaml.d/50-pipeops.yaml';

let machine: BareMachine;
beforeEach(async () => {
  machine = await bareMachine();
});
afterEach(async () => await machine[Symbol.asyncDispose]());

test('an address of IPv6 that is still there is kept as somebody has written it', async () => {
  await machine.put(OURS, 'node-ip: "10.0.0.99,FD00:77:1:0::A"\n');
  const { files } = factDeps(machine.path);
  const present = {
    own: ['10.0.0.7', 'fd00:77:1::b', 'fd00:77:1::a'],
    outward: ['10.0.0.7', 'fd00:77:1::b'],
  };
  expect(await rewriteNodeIp({ files, places: placesOf() }, present)).toEqual([
    '10.0.0.7',
    'FD00:77:1:0::A',
  ]);
});
