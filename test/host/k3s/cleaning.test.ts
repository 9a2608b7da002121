import { afterEach, beforeEach, expect, test } from 'bun:test';
import { cleanK3s } from '../../../src/host/k3s/cleaning.ts';
import { type BareMachine, bareMachine } from '../../support/bare-machine.ts';
import { factDeps } from '../../support/fact-deps.ts';

/** What ip(8) says of routes to the pods of other nodes, by their network. */
const ROUTES: Readonly<Record<string, string>> = {
  '10.44.0.0/16': '10.44.1.0/24 via 10.0.0.7 dev eth0 proto 86',
  'fd44::/56': 'fd44:0:0:1::/64 via fd00::7 dev eth0 proto 86 metric 1024 pref medium',
};

let machine: BareMachine;
beforeEach(async () => {
  machine = await bareMachine();
  await machine.put('/proc/net/route', 'Iface\n');
});
afterEach(async () => await machine[Symbol.asyncDispose]());

test("a worker's routes to other nodes go, in the networks that its servers have told", async () => {
  await machine.put(
    '/run/flannel/subnet.env',
    'FLANNEL_NETWORK=10.44.0.0/16\nFLANNEL_SUBNET=10.44.2.1/24\nFLANNEL_IPV6_NETWORK=fd44::/56\n' +
      'FLANNEL_IPV6_SUBNET=fd44:0:0:2::1/64\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n',
  );
  const deleted: string[] = [];
  const { clock, files } = factDeps(machine.path);
  const run = async (argv: readonly string[]) => {
    const [program, , , verb] = argv;
    if (program === 'ip' && verb === 'delete') {
      deleted.push(argv.slice(1).join(' '));
    }
    const stdout = verb === 'show' ? (ROUTES[argv.at(-1) ?? ''] ?? '') : '';
    return { exitCode: 0, stdout, stderr: '' };
  };
  await cleanK3s({ clock, files, exec: { run } }, 'agent', []);
  expect(deleted).toEqual([
    '-4 route delete 10.44.1.0/24 via 10.0.0.7 dev eth0',
    '-6 route delete fd44:0:0:1::/64 via fd00::7 dev eth0',
  ]);
  expect(await files.stat('/run/flannel')).toBeUndefined();
});
