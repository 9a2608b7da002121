/** Whether the address by which the cluster knows this node is there, and stays. */
import { K3S_UNITS } from '../../core/k3s-places.ts';
import { cloud } from '../cloud/whose.ts';
import { isNodeAddressGone } from '../facts/address-gone.ts';
import { addresses } from '../facts/addresses.ts';
import { hostname } from '../facts/hostname.ts';
import { k3sSettings } from '../facts/k3s-settings.ts';
import { kubeletAddresses } from '../facts/kubelet-addresses.ts';
import { leasedAddresses } from '../facts/leased-addresses.ts';
import { subject } from '../facts/subject.ts';
import { usesEtcd } from '../facts/uses-etcd.ts';
import type { Check } from './check.ts';

const WAYS_OF_ETCD = `The members of etcd know each other by their addresses, so no restart mends it there. Give the
machine its address again: reserve it in DHCP, or set it by hand. Where it can never have it again, among several
servers take it out, which takes its member out of etcd, and let it join again:

    sudo k3s kubectl delete node NAME                             # on another server
    sudo pipeops-agent uninstall --yes                            # on this machine
    sudo pipeops-agent token create --role server                 # on the other server: prints the line for this machine

A server alone is made the only member anew:

    sudo systemctl stop k3s
    sudo k3s server --cluster-reset
    sudo systemctl start k3s`;

export const addressStillThere: Check = {
  id: 'changed-address',
  title: "The node's address is here",
  severity: 'blocks',
  cost: 'dear',
  roles: ['server', 'worker'],
  why: 'Other nodes and the API reach this node by the address that k3s started with: without it logs, shells and pods of other nodes are cut off, and etcd loses a member.',
  remedy: `k3s takes the address that it finds at its start, and the agent restarts it within a minute, also where the
address was given with \`--node-ip\`. It does not where a file of somebody else names the old one (\`node-ip\`), where
k3s was adopted, or \`host: {restart_k3s: deny}\` in the policy forbids it.
${WAYS_OF_ETCD}`,
  needs: [isNodeAddressGone, kubeletAddresses, addresses, usesEtcd, k3sSettings, hostname, subject],
  run: async (facts) => {
    if (!(await facts(isNodeAddressGone))) {
      return undefined;
    }
    const known = await facts(kubeletAddresses);
    const own = await facts(addresses);
    const isMember = await facts(usesEtcd);
    const settings = await facts(k3sSettings);
    const told = settings['node-ip'];
    const nodeName = settings['node-name'] ?? (await facts(hostname)).toLowerCase();
    const unit = K3S_UNITS[(await facts(subject)).k3sRole];
    return {
      code: 'CHECK_FAILED',
      message: `k3s was started with the address ${known.join(', ')}, which this machine has no more`,
      ...(isMember
        ? {
            hint:
              "Give the machine that address again: etcd's members know it by that. Where it cannot have it, among " +
              `several servers: "sudo k3s kubectl delete node ${nodeName}" on another one, "sudo pipeops-agent uninstall --yes" here, ` +
              '"sudo pipeops-agent token create --role server" there, and the line that it prints here. A server alone: ' +
              '"sudo systemctl stop k3s && sudo k3s server --cluster-reset && sudo systemctl start k3s"',
          }
        : told === undefined
          ? {
              hint: 'Restart k3s, which takes the present one',
              fix: `sudo systemctl restart ${unit}`,
            }
          : {
              hint: `k3s is told "node-ip: ${told}": give the present address with --node-ip of install or join`,
            }),
      details: { known, own },
    };
  },
};

export const addressReserved: Check = {
  id: 'leased-address',
  title: "The node's address stays",
  severity: 'warns',
  cost: 'dear',
  roles: ['server'],
  why: 'Members of etcd know each other by their addresses: one that gets another address is lost to the cluster.',
  remedy: `Reserve the address for this machine in the DHCP server, or set it by hand. Clouds keep an address for as long
as its machine exists, so there nothing is said. ${WAYS_OF_ETCD}`,
  needs: [leasedAddresses, kubeletAddresses, cloud, usesEtcd, subject],
  run: async (facts) => {
    const { role, config } = await facts(subject);
    const leased = await facts(leasedAddresses);
    const wanted = [...config.k3s.node_ip, ...(await facts(kubeletAddresses))];
    // Before k3s has started it is not known which one it will take.
    const atRisk = leased.filter((address) => wanted.length === 0 || wanted.includes(address));
    const isMember = role === 'bare' || (await facts(usesEtcd));
    const isKept = ![undefined, 'bare-metal'].includes(await facts(cloud));
    return atRisk.length === 0 || !isMember || isKept
      ? undefined
      : {
          code: 'CHECK_FAILED',
          message: `The address ${atRisk.join(', ')} is lent by DHCP, and etcd needs one that stays`,
          hint: 'Reserve it for this machine in the DHCP server, or set it by hand',
          details: { leased },
        };
  },
};
