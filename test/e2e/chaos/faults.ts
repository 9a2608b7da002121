/** The troubles of a machine that nobody watches, one by one. */
import { DetailedHealth } from '../../../src/protocol/local-api.ts';
import type { Fault as MessageFault } from '../../support/control-plane/faults.ts';
import { waitUntil } from '../../vm/wait-until.ts';
import {
  blackHole,
  deadConnections,
  limitRate,
  losePackets,
  resolveTo,
  type TakeBack,
} from './machine-network.ts';
import { CONTROL_PLANE_NAME, type Rig, STATE_DIRECTORY, UNIT } from './rig.ts';
import { startSlowRelay } from './slow-relay.ts';
import { bigOutput } from './traffic.ts';

const RESTART_TIMEOUT_MS = 30_000;
const RELAY_DELAY_MS = 500;
/** On top of the delay: what is sent at the same time comes in another order. */
const RELAY_SPREAD_MS = 500;
const BALLAST = `${STATE_DIRECTORY}/ballast`;
/** Big ones: the store has some megabytes that it can write without new space. */
const RESULTS_THAT_NEED_SPACE = 12;
const OVER_SOCKET = [
  ...['--unix-socket', '/run/pipeops-agent/agent.sock'],
  'http://localhost/api/health/detailed',
];
const HOUR_MS = 3_600_000;
const CLOCK_TOLERANCE_MS = 60_000;
const CLOCK_FILE = '/etc/faketime';
const CLOCK_DROP_IN = `/etc/systemd/system/${UNIT}.d/clock.conf`;

export interface Fault {
  readonly name: string;
  /** How long it lasts in the short run, ms. */
  readonly lastsMs: number;
  /** /ready must turn false and say this while it lasts; undefined: the session may hold. */
  readonly reason?: RegExp;
  /** What the agent's log says when it gave up a silent peer: within 15 s. */
  readonly findsDeadPeer?: true;
  /** Ends of the daemon that are part of it, by us. */
  readonly kills?: number;
  /** What must be there before; not part of the trouble. */
  prepare?(rig: Rig): Promise<void>;
  /** What must work all the same, while it lasts. */
  during?(rig: Rig): Promise<void>;
  /** @returns what ends the trouble */
  begin(rig: Rig): Promise<TakeBack>;
}

const loss = (percent: number): Fault => ({
  name: `loss of ${percent} %`,
  lastsMs: 10_000,
  begin: ({ server, address }) => losePackets(server, address, percent),
});

const delayed: Fault = {
  name: 'delay of 0.5 to 1 s, reordered',
  lastsMs: 15_000,
  begin: async (rig) => {
    const { server, controlPlane, address, otherAddress } = rig;
    const { port } = controlPlane;
    const relay = await startSlowRelay({
      listen: { hostname: otherAddress, port },
      target: { hostname: address, port },
      delayMs: () => RELAY_DELAY_MS + Math.random() * RELAY_SPREAD_MS,
    });
    await resolveTo(server, CONTROL_PLANE_NAME, otherAddress);
    await addFault(rig, { kind: 'close', direction: 'in' });
    await addFault(rig, { kind: 'reorder', message: 'command', count: 5 });
    await addFault(rig, { kind: 'duplicate', message: 'command', count: 5 });
    return async () => {
      await resolveTo(server, CONTROL_PLANE_NAME, address);
      await clearFaults(rig);
      await relay[Symbol.asyncDispose]();
    };
  },
};

const slow: Fault = {
  name: 'rate of 256 kbit/s',
  lastsMs: 15_000,
  begin: ({ server }) => limitRate(server, '256kbit'),
  // Half a megabyte takes longer than a peer may be silent.
  during: async ({ give, succeeded }) => await succeeded(await give('exec', bigOutput())),
};

const hole: Fault = {
  name: 'black hole',
  lastsMs: 22_000,
  reason: /silent|Cannot reach|Connecting/,
  findsDeadPeer: true,
  begin: ({ server, address }) => blackHole(server, address),
};

const halfOpen: Fault = {
  name: 'half-open connection',
  lastsMs: 17_000,
  findsDeadPeer: true,
  begin: ({ server, address, controlPlane }) => deadConnections(server, address, controlPlane.port),
};

/** The address, or none, to which the name is wrong. */
const wrongName = (name: string, wrong: (rig: Rig) => string | undefined): Fault => ({
  name,
  lastsMs: 8_000,
  reason: /Cannot reach/,
  begin: async (rig) => {
    await resolveTo(rig.server, CONTROL_PLANE_NAME, wrong(rig));
    await addFault(rig, { kind: 'close', direction: 'in' });
    return () => resolveTo(rig.server, CONTROL_PLANE_NAME, rig.address);
  },
});

const controlPlaneKilled: Fault = {
  name: 'kill -9 of the control plane',
  lastsMs: 6_000,
  reason: /Cannot reach|closed/,
  begin: async ({ controlPlane }) => {
    await controlPlane.kill();
    return controlPlane.start;
  },
};

const fullDisk: Fault = {
  name: 'full disk',
  lastsMs: 10_000,
  reason: /full/,
  begin: async ({ server, give }) => {
    await server.exec(['dd', 'if=/dev/zero', `of=${BALLAST}`, 'bs=64k'], { check: false });
    for (let results = 0; results < RESULTS_THAT_NEED_SPACE; results += 1) {
      await give('exec', bigOutput());
    }
    return async () => {
      await server.exec(['rm', BALLAST]);
    };
  },
};

const daemonKilled: Fault = {
  name: 'kill -9 of the daemon',
  lastsMs: 0,
  reason: /no answer/,
  kills: 1,
  begin: async ({ server }) => {
    await server.exec(['systemctl', 'kill', '--signal=KILL', UNIT]);
    return async () => undefined;
  },
};

/**
 * The clock of the machine is the host's, so the daemon's alone jumps: libfaketime reads the file
 * at each look at the clock. The monotonic clock stays, as it does when a real clock is set.
 */
const clockJump = (name: string, offsetHours: number): Fault => ({
  name,
  lastsMs: 8_000,
  prepare: runWithFakeClock,
  begin: async ({ server }) => {
    await server.writeFile(CLOCK_FILE, `+${offsetHours}h\n`);
    await waitUntil('the clock of the daemon has jumped', RESTART_TIMEOUT_MS, async () => {
      const { stdout } = await server.exec(['curl', '-fsS', ...OVER_SOCKET]);
      const { timestamp } = DetailedHealth.parse(JSON.parse(stdout));
      const aheadMs = new Date(timestamp).getTime() - Date.now();
      return Math.abs(aheadMs - offsetHours * HOUR_MS) < CLOCK_TOLERANCE_MS;
    });
    return async () => undefined;
  },
});

async function runWithFakeClock({ server, ready }: Rig): Promise<void> {
  const { exitCode } = await server.exec(['test', '-e', CLOCK_DROP_IN], { check: false });
  if (exitCode === 0) {
    return;
  }
  const library = (await server.exec(['sh', '-c', 'ls /usr/lib/*/faketime/libfaketime.so.1']))
    .stdout;
  const environment = [
    ...[`LD_PRELOAD=${library.trim()}`, `FAKETIME_TIMESTAMP_FILE=${CLOCK_FILE}`],
    ...['FAKETIME_NO_CACHE=1', 'FAKETIME_DONT_FAKE_MONOTONIC=1'],
  ];
  await server.writeFile(CLOCK_FILE, '+0h\n');
  await server.writeFile(CLOCK_DROP_IN, `[Service]\nEnvironment=${environment.join(' ')}\n`);
  await server.exec(['systemctl', 'daemon-reload']);
  const since = performance.now();
  await server.exec(['systemctl', 'restart', UNIT]);
  await ready.next('ready with a fake clock', since, RESTART_TIMEOUT_MS, (each) => each.ready);
}

async function addFault(rig: Rig, fault: Partial<MessageFault>): Promise<void> {
  const body = JSON.stringify({ on: 'message', ...fault });
  await rig.controlPlane.admin('/faults', { method: 'POST', body });
}

const clearFaults = (rig: Rig) => rig.controlPlane.admin('/faults', { method: 'DELETE' });

/** In this order: the clock's library stays loaded from the first jump on. */
export const FAULTS: readonly Fault[] = [
  loss(1),
  loss(10),
  loss(30),
  delayed,
  slow,
  hole,
  halfOpen,
  wrongName('name without an address', () => undefined),
  wrongName('name with a wrong address', (rig) => rig.nobodysAddress),
  controlPlaneKilled,
  controlPlaneKilled,
  controlPlaneKilled,
  daemonKilled,
  fullDisk,
  clockJump('clock jumps one hour ahead', 1),
  clockJump('clock jumps one hour back', 0),
];
