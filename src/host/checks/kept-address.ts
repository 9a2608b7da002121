/** Whether the address by which the cluster knows this node is there, and stays. */
import { K3S_UNITS } from '../../core/k3s-places.ts';
import { cloud } from '../cloud/whose.ts';
import { addresses } from '../facts/addresses.ts';
import { k3sSettings } from '../facts/k3s-settings.ts';
import { kubeletAddresses } from '../facts/kubelet-addresses.ts';
import { leasedAddresses } from '../facts/leased-addresses.ts';
import { subject } from '../facts/subject.ts';
import { usesEtcd } from '../facts/uses-etcd.ts';
import type { Check } from './check.ts';

const WAYS_OF_ETCD = `The members of etcd know each other by their addresses, so no restart mends it there. Give the
machine its address again: reserve it in DHCP, or set it by hand. Where it can never have it again: among several
servers delete its Node on another one (\`k3s kubectl delete node NAME\`), then \`sudo pipeops-agent uninstall\` here, and
join again; a server alone is made the only member anew, with k3s stopped, by \`sudo k3s server --cluster-reset\`.`;

export const addressStillThere: Check = {
  id: 'changed-address',
  title: "The node's address is here",
  severity: 'blocks',
  cost: 'dear',
  roles: ['server', 'worker'],
  why: 'Other nodes and the API reach this node by the address that k3s started with: without it logs, shells and pods of other nodes are cut off, and etcd loses a member.',
  remedy: `k3s takes the address that it finds at its start: a restart is enough, unless \`node-ip\` names the old one.
${WAYS_OF_ETCD}`,
  needs: [kubeletAddresses, addresses, usesEtcd, k3sSettings, subject],
  run: async (facts) => {
    const known = await facts(kubeletAddresses);
    const own = await facts(addresses);
    if (known.length === 0 || known.some((address) => own.includes(address))) {
      return undefined;
    }
    const isMember = await facts(usesEtcd);
    const told = (await facts(k3sSettings))['node-ip'];
    const unit = K3S_UNITS[(await facts(subject)).k3sRole];
    return {
      code: 'CHECK_FAILED',
      message: `k3s was started with the address ${known.join(', ')}, which this machine has no more`,
      ...(isMember
        ? {
            hint: `Give the machine that address again: etcd's members know it by that. What to do where it cannot have it: docs/TROUBLESHOOTING.md`,
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
