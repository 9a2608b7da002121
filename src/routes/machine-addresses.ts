/** Which addresses lead to a machine, and not to a pod. */
import type { V1Node } from '@kubernetes/client-node';
import { type IpRange, ipRange, overlaps } from '../core/ip-range.ts';
import { KINDS, pathOfKind } from '../core/kinds.ts';
import { FLANNEL_ANNOTATION } from '../core/labels.ts';
import type { Clock, ThisMachine } from '../core/ports.ts';
import { within } from '../core/waiting.ts';
import type { KubernetesClient } from '../kubernetes/api/client.ts';
import { collect } from '../kubernetes/watch/cluster-status.ts';
import { addressNumber, numberOfAddress } from './address-number.ts';

/** A new node is no risk in so short a time. */
const NODES_KEPT_MS = 30_000;
/** Time for the API to answer. */
const TIMEOUT_MS = 10_000;

/**
 * Where no pod is: this machine and its links, IPv4 inside IPv6 (RFC 6890, RFC 4291, RFC 6052), and where clouds tell
 * a machine about itself elsewhere (AWS, Oracle, Google, Alibaba).
 */
const NO_PODS: readonly IpRange[] = [
  ...['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '::/8', 'fe80::/10'],
  ...['fd00:ec2::/32', 'fd00:c1::/32', 'fd20:ce::/32', '100.100.100.200'],
].flatMap((text) => ipRange(text) ?? []);

interface Deps {
  readonly clock: Clock;
  readonly machine: Pick<ThisMachine, 'addresses'>;
  readonly kubernetes: KubernetesClient;
}

export interface MachineAddresses {
  /**
   * @returns whether an address is one of a node, of this machine or of a cloud's metadata service
   * @throws AgentError KUBERNETES_API, TIMEOUT
   */
  look(): Promise<(address: string) => boolean>;
}

export function machineAddresses(deps: Deps): MachineAddresses {
  const nodes = keptNodeNumbers(deps);
  return {
    look: async () => {
      const ofNodes = await nodes();
      const here = new Set(deps.machine.addresses().map(numberOfAddress));
      return (address) => {
        const range = ipRange(address);
        const number = numberOfAddress(address);
        return (
          range !== undefined &&
          number !== undefined &&
          (ofNodes.has(number) || here.has(number) || NO_PODS.some((each) => overlaps(each, range)))
        );
      };
    },
  };
}

function keptNodeNumbers(deps: Deps): () => Promise<ReadonlySet<string>> {
  let at = Number.NEGATIVE_INFINITY;
  let known: Promise<ReadonlySet<string>> = Promise.resolve(new Set());
  return () => {
    if (deps.clock.monotonic() - at >= NODES_KEPT_MS) {
      at = deps.clock.monotonic();
      known = readNodeNumbers(deps);
      known.catch(() => {
        at = Number.NEGATIVE_INFINITY; // This caller gets the error; the next one asks again.
      });
    }
    return known;
  };
}

async function readNodeNumbers({ clock, kubernetes }: Deps): Promise<ReadonlySet<string>> {
  const lists = await within(clock, TIMEOUT_MS, undefined, (signal) =>
    collect(kubernetes, pathOfKind(KINDS.node), numbersOfNode, signal),
  );
  return new Set(lists.flat());
}

/** Its own addresses, and those that flannel gives its side of the pods' network: the first two of its part. */
function numbersOfNode({ metadata, spec, status }: V1Node): readonly string[] {
  // It also tells its name, which is no address.
  const own = (status?.addresses ?? []).flatMap(({ address }) => numberOfAddress(address) ?? []);
  const isOfFlannel = metadata?.annotations?.[FLANNEL_ANNOTATION] !== undefined;
  const pods = ((isOfFlannel ? spec?.podCIDRs : undefined) ?? []).flatMap(
    (network) => ipRange(network) ?? [],
  );
  const links = pods.flatMap(({ version, first }) => [
    addressNumber({ version, first }),
    addressNumber({ version, first: first + 1n }),
  ]);
  return [...own, ...links];
}
