/** Under which name a machine joins, answered before anything is installed. */
import { nodeNameOf } from '../config/node-settings.ts';
import { AgentError } from '../core/errors.ts';
import { NODE_PASSWORD_FILE } from '../core/k3s-places.ts';
import { sha256 } from '../host/cluster/join-server.ts';
import type { KnownNode } from '../host/cluster/known-nodes.ts';
import { readMachineId } from '../host/facts/machine-id.ts';
import type { MachineContext } from './context.ts';
import type { NameTakenAnswer } from './join-name-answers.ts';

/** Digits that make a name unique among machines of one name. */
const SUFFIX_LENGTH = 5;
const NAME_LENGTH_MAX = 63;

export interface NameWishes {
  readonly taken: NameTakenAnswer;
  /** Another living node may have the same machine id. */
  readonly allowClone: boolean;
}

/**
 * The name that this machine can have in the cluster.
 * @param known the cluster's nodes; undefined where it does not say
 * @throws AgentError NODE_NAME_TAKEN, MACHINE_ID_TAKEN
 */
export async function chooseNodeName(
  context: Pick<MachineContext, 'addresses' | 'files' | 'hostname'>,
  given: string | undefined,
  known: readonly KnownNode[] | undefined,
  wishes: NameWishes,
): Promise<string> {
  const wanted = nodeNameOf(context.hostname, given);
  if (known === undefined) {
    return wanted;
  }
  const machineId = await readMachineId(context.files);
  const own = { machineId, addresses: context.addresses() };
  refuseClone(known, own, wishes);
  const there = known.find(({ name }) => name === wanted);
  if (there === undefined) {
    return wanted;
  }
  // Of a machine that has just left, the cluster believes for a while that it is alive.
  const isThisMachine = hasId(there, machineId) && !isTwin(there, own);
  const hasPassword = (await context.files.stat(NODE_PASSWORD_FILE)) !== undefined;
  if (hasPassword && (isThisMachine || (wishes.taken === 'reuse' && !there.isAlive))) {
    return wanted; // k3s compares the password.
  }
  const renamed = uniqueName(wanted, machineId || context.hostname);
  const other = known.find(({ name }) => name === renamed);
  if (wishes.taken !== 'rename') {
    const free = other === undefined ? renamed : undefined;
    throw nameTaken(there, { isThisMachine, hasPassword, free });
  }
  if (other !== undefined && !hasPassword) {
    throw nameTaken(other, { isThisMachine: false, hasPassword, free: undefined });
  }
  return renamed;
}

/** Two machines with one id get the same addresses by DHCP and the same MAC on the pods' network. */
function refuseClone(
  known: readonly KnownNode[],
  own: OwnMachine,
  { allowClone }: NameWishes,
): void {
  const twin = known.find((node) => isTwin(node, own));
  if (twin !== undefined && !allowClone) {
    throw new AgentError(
      'MACHINE_ID_TAKEN',
      `The node "${twin.name}"${at(twin)} has the same machine id: one of both machines is a clone`,
      {
        hint:
          'Give this machine an id of its own: sudo rm -f /etc/machine-id ' +
          '/var/lib/dbus/machine-id, sudo systemd-machine-id-setup, reboot. To join all the same: --allow-clone',
        details: { node: twin.name },
      },
    );
  }
}

interface OwnMachine {
  readonly machineId: string;
  readonly addresses: readonly string[];
}

/** A living node with the id of this machine that is not this machine. */
function isTwin(node: KnownNode, { machineId, addresses }: OwnMachine): boolean {
  const isElsewhere = node.address !== undefined && !addresses.includes(node.address);
  return hasId(node, machineId) && node.isAlive && isElsewhere;
}

function hasId(node: KnownNode, machineId: string): boolean {
  return machineId !== '' && node.machineId === machineId;
}

function nameTaken(
  node: KnownNode,
  {
    isThisMachine,
    hasPassword,
    free,
  }: {
    readonly isThisMachine: boolean;
    readonly hasPassword: boolean;
    /** A name that nobody has. */
    readonly free: string | undefined;
  },
): AgentError {
  const rename =
    free === undefined
      ? 'To join under another name: --node-name NAME'
      : `To join as "${free}", which is free: --name-taken rename; under another name: --node-name NAME`;
  const hint = node.isAlive
    ? `${rename}. If that machine is to go: sudo pipeops-agent leave, there`
    : hasPassword && !isThisMachine
      ? `${rename}. If it was this machine: --name-taken reuse`
      : `If it is gone, on a server: sudo k3s kubectl delete node ${node.name}. ${rename}`;
  const what = node.isAlive ? 'a living machine has' : 'a machine that is down has';
  return new AgentError(
    'NODE_NAME_TAKEN',
    `The name "${node.name}" is taken: ${what} it in the cluster${at(node)}`,
    { hint, details: { node: node.name, alive: node.isAlive, free: free ?? null } },
  );
}

function at({ address }: KnownNode): string {
  return address === undefined ? '' : `, at ${address}`;
}

/** The same for the same machine, so that it finds its name again. */
function uniqueName(name: string, of: string): string {
  const suffix = `-${sha256(of).slice(0, SUFFIX_LENGTH)}`;
  return `${name.slice(0, NAME_LENGTH_MAX - suffix.length).replace(/(?<![-.])[-.]+$/, '')}${suffix}`;
}
