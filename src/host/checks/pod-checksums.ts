import { wrongChecksums } from '../facts/wrong-checksums.ts';
import type { Check } from './check.ts';

/** A few come from anywhere. */
const WRONG_MIN = 100;
const COMMAND = 'ethtool -K flannel.1 tx-checksum-ip-generic off';
const RULE = `ACTION=="add", SUBSYSTEM=="net", KERNEL=="flannel.1", RUN+="/usr/sbin/${COMMAND}"`;

export const podChecksums: Check = {
  id: 'pod-checksums',
  title: 'Checksums between nodes',
  severity: 'warns',
  cost: 'dear',
  roles: ['server', 'worker'],
  why: 'Packets with wrong checksums are dropped: Services and names answer on one node, and not from another.',
  remedy: `Some network cards and hypervisors compute the checksums of VXLAN wrongly when the kernel leaves that to them
(flannel-io/flannel#1279, #2152). On the nodes that send, let the kernel do it: \`sudo ${COMMAND}\` (package
\`ethtool\`). It is lost when k3s makes the device anew. For good, put this line into
\`/etc/udev/rules.d/90-flannel-checksum.rules\` on each node, then \`sudo udevadm control --reload\`:

\`\`\`
${RULE}
\`\`\`

The count is of all UDP since the start of the machine. See whether it grows: \`nstat -az UdpInCsumErrors\`.`,
  needs: [wrongChecksums],
  run: async (facts) => {
    const count = await facts(wrongChecksums);
    return count === undefined || count < WRONG_MIN
      ? undefined
      : {
          code: 'CHECK_FAILED',
          message: `${count} UDP packets came to this node with a wrong checksum and were dropped`,
          hint: 'On the other nodes, let the kernel compute checksums of VXLAN; docs/TROUBLESHOOTING.md has it for good',
          fix: `sudo ${COMMAND}`,
          details: { udp_checksum_errors: count },
        };
  },
};
