/** A machine whose clock is wrong when it is installed, and is set meanwhile or not. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { Clock } from '../../src/core/ports.ts';
import type { Probe } from '../../src/core/probe.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { QUIET_PROBE } from '../support/quiet-probe.ts';
import {
  CONTROL_PLANE,
  MIRROR,
  type SimulatedMachine,
  simulatedMachine,
} from '../support/simulated-machine.ts';

/** How far the clock is behind that of the control plane. */
let behindMs: number;
let machine: SimulatedMachine;
beforeEach(async () => {
  behindMs = 3_600_000;
  machine = await simulatedMachine();
  await machine.files.remove('/run/systemd/container'); // Its clock is its own.
});
afterEach(async () => await machine[Symbol.asyncDispose]());

const probe: Probe = {
  ...QUIET_PROBE,
  walk: async (way, signal) => {
    const walk = await QUIET_PROBE.walk(way, signal);
    const serverTimeMs = Date.now() + behindMs;
    return { ...walk, answer: walk.answer && { ...walk.answer, serverTimeMs } };
  },
};

/** Pauses between two looks are over at once; limits are as long as they are. */
function withoutPauses(): Clock {
  const pauseMs = 1_000;
  let skippedMs = 0;
  return {
    ...systemClock,
    monotonic: () => systemClock.monotonic() + skippedMs,
    sleep: async (ms, signal) => {
      if (ms !== pauseMs) {
        return await systemClock.sleep(ms, signal);
      }
      skippedMs += ms;
      return true;
    },
  };
}

const install = () =>
  machine.run(['install', '--token-file', '/root/token', '--api-url', CONTROL_PLANE], {
    env: { PIPEOPS_K3S_MIRROR: MIRROR },
    probe,
    clock: withoutPauses(),
  });

/** timedatectl(1), which answers the same until it is asked for the n-th time. */
function timeServer(answersAt: number): { asked: number } {
  const state = { asked: 0 };
  machine.programs.set('timedatectl', () => {
    state.asked += 1;
    const isSet = state.asked >= answersAt;
    behindMs = isSet ? 0 : behindMs;
    return { stdout: `NTP=yes\nNTPSynchronized=${isSet ? 'yes' : 'no'}` };
  });
  return state;
}

test('a clock that NTP is about to set is waited for', async () => {
  const server = timeServer(5);
  const { exitCode, stderr } = await install();
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  expect(server.asked).toBeGreaterThanOrEqual(5);
});

test('a clock that NTP does not set within a minute is refused', async () => {
  timeServer(Number.POSITIVE_INFINITY);
  const { exitCode, stderr } = await install();
  expect([exitCode, stderr]).toEqual([11, expect.stringContaining('This clock is 60 min behind')]);
});

test('a clock that nobody sets is refused at once, and nothing is changed', async () => {
  machine.programs.set('timedatectl', () => ({ stdout: 'NTP=no\nNTPSynchronized=no' }));
  const before = await machine.listing();
  const { exitCode, stderr } = await install();
  expect([exitCode, stderr]).toEqual([11, expect.stringContaining('This clock is 60 min behind')]);
  expect(await machine.listing()).toEqual(before);
});

test('a cluster without a control plane is not made by a wrong clock either', async () => {
  timeServer(Number.POSITIVE_INFINITY);
  const before = await machine.listing();
  const alone = { env: {}, probe, clock: withoutPauses() };
  const { exitCode, stderr } = await machine.run(['install'], alone);
  expect([exitCode, stderr]).toEqual([
    11,
    expect.stringMatching(
      /This clock is 60 min behind that of ((get|update)\.k3s\.io|github\.com)/,
    ),
  ]);
  expect(await machine.listing()).toEqual(before);
});

/** `credentials renew`, which the unit runs before the daemon. */
const renew = async (upSeconds: number) => {
  await machine.put('/proc/uptime', `${upSeconds}.00 1.00\n`);
  return await machine.run(['credentials', 'renew'], { clock: withoutPauses() });
};

test('at the start of a machine the agent waits for NTP, and starts once that has set the clock', async () => {
  const asked = timeServer(4);
  expect(await renew(20)).toMatchObject({ exitCode: 0 });
  expect(asked.asked).toBe(4);
});

test('it starts all the same where no time server answers within 30 s', async () => {
  const asked = timeServer(Number.POSITIVE_INFINITY);
  expect(await renew(20)).toMatchObject({ exitCode: 0 });
  expect(asked.asked).toBeWithin(29, 33);
});

test('a restart later on waits for nothing', async () => {
  const asked = timeServer(Number.POSITIVE_INFINITY);
  expect(await renew(3_600)).toMatchObject({ exitCode: 0 });
  expect(asked.asked).toBe(0);
});
