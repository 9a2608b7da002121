/** The troubles of a machine that nobody watches, one by one. */
import { STABLE_MS } from '../../../src/control-plane/session/endpoint-policy.ts';
import type { Fault as MessageFault } from '../../support/control-plane/faults.ts';
import { waitUntil } from '../../vm/wait-until.ts';
import { askDaemon } from './ask-daemon.ts';
import { giveDaemonItsOwnClock, setDaemonClock } from './daemon-clock.ts';
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

const QUIET_TIMEOUT_MS = 180_000;
const RELAY_DELAY_MS = 500;
/** On top of the delay: what is sent at the same time comes in another order. */
const RELAY_SPREAD_MS = 500;
const BALLAST = `${STATE_DIRECTORY}/ballast`;
/** Big ones: the store has some megabytes that it can write without new space. */
const RESULTS_THAT_NEED_SPACE = 12;

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
  /** How often `prepare` may start the daemon again. */
  readonly restarts?: number;
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

/** Shortly after other troubles: the agent comes back the slower the more sessions end at once. */
const controlPlaneKilled: Fault = {
  name: 'kill -9 of the control plane',
  lastsMs: 6_000,
  reason: /Cannot reach|closed/,
  begin: async ({ controlPlane }) => {
    await controlPlane.kill();
    return controlPlane.start;
  },
};

const controlPlaneKilledAtPeace: Fault = {
  ...controlPlaneKilled,
  name: 'the same after a quiet minute',
  prepare: async ({ server }) => {
    // By our own clock: that of the daemon may have jumped.
    let known: string | undefined;
    let knownSince = performance.now();
    await waitUntil('the session is stable', QUIET_TIMEOUT_MS, async () => {
      const { phase, since } = (await askDaemon(server)).session;
      if (phase !== 'connected' || since !== known) {
        known = phase === 'connected' ? since : undefined;
        knownSince = performance.now();
      }
      return performance.now() - knownSince > STABLE_MS;
    });
  },
};

const fullDisk: Fault = {
  name: 'full disk',
  lastsMs: 10_000,
  reason: /no space left/,
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

const clockJump = (name: string, hoursAhead: number): Fault => ({
  name,
  lastsMs: 8_000,
  restarts: 1,
  prepare: ({ server, ready }) => giveDaemonItsOwnClock(server, ready),
  begin: async ({ server }) => {
    await setDaemonClock(server, hoursAhead);
    return async () => undefined;
  },
});

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
  controlPlaneKilledAtPeace,
  daemonKilled,
  fullDisk,
  clockJump('clock jumps one hour ahead', 1),
  clockJump('clock jumps one hour back', 0),
];
