/**
 * The bridge that connects the machines of one lab with each other and with the host. Nothing
 * else is reachable from them: there is no masquerading and no DNS.
 */

import { runCommand } from './host-command.ts';

export const PREFIX_LENGTH = 24;
export const IPV6_PREFIX_LENGTH = 64;

/** Addresses below are left to the host and to tests that want one of their own. */
const FIRST_MACHINE_HOST_NUMBER = 10;
const LAST_MACHINE_HOST_NUMBER = 250;

/** Slots are 1 to this; each has a /24 of its own, and a /64 (RFC 4193). */
export const SLOT_COUNT = 16;

export function bridgeName(slot: number): string {
  return `pipeops-t${slot}`;
}

/** The host's address on the bridge; also the machines' default gateway. */
export function hostAddress(slot: number): string {
  return `10.77.${slot}.1`;
}

/** A second address of the host, for two programs that want the same port. */
export function secondHostAddress(slot: number): string {
  return `10.77.${slot}.2`;
}

/** The host's address of IPv6 on the bridge; also the gateway of machines that have IPv6. */
export function hostAddress6(slot: number): string {
  return `fd00:77:${slot.toString(16)}::1`;
}

/** @param index 0 for the first machine of the lab. */
export function machineAddress(slot: number, index: number): string {
  return `10.77.${slot}.${hostNumber(index)}`;
}

/** @param index as of machineAddress */
export function machineAddress6(slot: number, index: number): string {
  return `fd00:77:${slot.toString(16)}::${hostNumber(index).toString(16)}`;
}

function hostNumber(index: number): number {
  const host = FIRST_MACHINE_HOST_NUMBER + index;
  if (host > LAST_MACHINE_HOST_NUMBER) {
    throw new Error(`Cannot give machine ${index} an address: the lab's network is full`);
  }
  return host;
}

export async function createBridge(slot: number): Promise<void> {
  const bridge = bridgeName(slot);
  // Of its own: otherwise it is that of a machine, and changes with the machine's end, which the others
  // notice only after seconds.
  const hardware = `02:00:0a:4d:${slot.toString(16).padStart(2, '0')}:01`;
  await runCommand(['ip', 'link', 'add', bridge, 'address', hardware, 'type', 'bridge']);
  for (const address of [hostAddress(slot), secondHostAddress(slot)]) {
    await runCommand(['ip', 'addr', 'add', `${address}/${PREFIX_LENGTH}`, 'dev', bridge]);
  }
  // Nobody else has it, and what is tested for doubles may not be listened on for a second.
  const own6 = `${hostAddress6(slot)}/${IPV6_PREFIX_LENGTH}`;
  await runCommand(['ip', 'addr', 'add', own6, 'dev', bridge, 'nodad']);
  await runCommand(['ip', 'link', 'set', bridge, 'up']);
}

/**
 * Removes the link that an earlier machine of that name has left: it stays as long as the kernel holds that
 * machine's network, which may be minutes, and the next one could not have its name.
 */
export async function removeMachineLink(group: string): Promise<void> {
  // nspawn shortens the name, and keeps the whole one as an alternative.
  await runCommand(['ip', 'link', 'delete', 'dev', `vb-${group}`], { check: false });
}

/** Removes the bridge of a slot, when there is one. */
export async function removeBridge(slot: number): Promise<void> {
  const bridge = bridgeName(slot);
  const { exitCode } = await runCommand(['ip', 'link', 'show', bridge], { check: false });
  if (exitCode === 0) {
    await runCommand(['ip', 'link', 'delete', bridge]);
  }
}
